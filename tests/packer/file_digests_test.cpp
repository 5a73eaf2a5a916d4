#include "packer/file_digests.h"

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

bundle::Digest digest_of(const std::string& text) {
  return bundle::sha256(std::as_bytes(std::span(text)));
}

TEST(FileDigests, AreInTheOrderOfThePaths) {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  std::vector<bundle::Digest> expected;
  for (const std::size_t size : {std::size_t{3}, std::size_t{3'000'000}, std::size_t{0}, std::size_t{700'001}}) {
    const std::string text(size, static_cast<char>('a' + paths.size()));
    paths.push_back(folder.write(std::to_string(paths.size()), text));
    expected.push_back(digest_of(text));
  }
  EXPECT_EQ(file_digests(paths, 2, {}), expected);
  EXPECT_TRUE(file_digests({}, 2, {}).empty());
}

TEST(FileDigests, NamesAFileThatIsMissing) {
  const TemporaryFolder folder;
  const std::string missing = folder.path("missing");
  try {
    file_digests({folder.write("there", "x"), missing}, 2, {});
    FAIL() << "nothing was thrown";
  } catch (const bundle::Error& error) {
    EXPECT_EQ(error.kind(), bundle::ErrorKind::kNotFound);
    EXPECT_NE(std::string(error.what()).find(missing), std::string::npos) << error.what();
  }
}

TEST(FileDigests, StopsWhenTheCallerCancels) {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (int i = 0; i < 8; ++i) paths.push_back(folder.write(std::to_string(i), std::string(1'000'000, 'x')));
  EXPECT_THROW(file_digests(paths, 2, [] { throw bundle::Error(bundle::ErrorKind::kInterrupted, "interrupted"); }),
               bundle::Error);
}

}  // namespace
}  // namespace holdall::packer
