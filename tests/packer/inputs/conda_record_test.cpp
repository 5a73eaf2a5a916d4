#include "packer/inputs/conda_record.h"

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

TEST(CondaRecord, DropsNothingOfARecordButItsPaths) {
  const CondaRecord record = parse_conda_record(
      R"({"name": "n", "version": "1", "build": "b", "noarch": "python", "link": {"source": "/pkgs/n"},
          "files": ["a", "b"], "depends": ["x >=1"],
          "paths_data": {"paths_version": 1, "paths": [
            {"_path": "a", "sha256": "aa", "sha256_in_prefix":
             "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"},
            {"_path": "b", "prefix_placeholder": "/p", "file_mode": "binary"}]}})",
      "x.json");
  EXPECT_EQ(record.name + record.version + record.build + record.link_source, "n1b/pkgs/n");
  EXPECT_TRUE(record.noarch_python && record.has_paths);
  EXPECT_EQ(record.files, (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(record.paths.size(), 2U);
  EXPECT_EQ(bundle::to_hex(record.paths[0].digest.value()).substr(0, 8), "2c26b46b");
  EXPECT_EQ(record.paths[0].use, PrefixUse::kNone);
  EXPECT_EQ(record.paths[1].use, PrefixUse::kBinary);
  EXPECT_FALSE(record.paths[1].digest.has_value());
}

TEST(CondaRecord, ReadsBothFormsOfHasPrefix) {
  const auto paths = parse_has_prefix("bin/one\r\n\n\"/a b\" binary 'bin/t w o'\n'bin/x'", "has_prefix");
  ASSERT_EQ(paths.size(), 3U);
  EXPECT_EQ(paths[0].path, "bin/one");
  EXPECT_EQ(paths[0].use, PrefixUse::kText);
  EXPECT_EQ(paths[1].path, "bin/t w o");
  EXPECT_EQ(paths[1].placeholder, "/a b");
  EXPECT_EQ(paths[1].use, PrefixUse::kBinary);
  EXPECT_EQ(paths[2].path, "bin/x");
}

TEST(CondaRecord, RefusesAnotherNumberOfWords) {
  for (const char* const text : {"/p text\n", "/p text a b\n", "/p odd a\n", "\"open text a\n"}) {
    const auto refused = thrown_by([&] { parse_has_prefix(text, "info/has_prefix"); });
    EXPECT_TRUE(refused.kind == bundle::ErrorKind::kCannotPack && refused.says("info/has_prefix")) << text;
  }
}

TEST(CondaRecord, TakesWhatLetsSomebodyInOutOfAnAddress) {
  for (const auto& [address, cleaned] : std::vector<std::pair<std::string, std::string>>{
           {"https://conda.example.org/main/linux-64", "https://conda.example.org/main/linux-64"},
           {"https://user:p@ss@example.org:8443/main", "https://example.org:8443/main"},
           {"https://example.org/t/token/main/linux-64/x-1-0.conda", "https://example.org/main/linux-64/x-1-0.conda"},
           {"https://example.org/t/token", "https://example.org"},
           {"example.org/t/token/main::x", "example.org/main::x"},
           {"https://example.org/main/x.conda?sig=secret", "https://example.org/main/x.conda"},
           {"conda-forge", "conda-forge"},
           {"https://example.org/@scope/main", "https://example.org/@scope/main"},
           {"", ""}})
    EXPECT_EQ(without_credentials(address), cleaned);
}

}  // namespace
}  // namespace holdall::packer
