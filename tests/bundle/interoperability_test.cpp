// Other people's programs read our archives: GNU tar, bsdtar, zstd.
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;
namespace fs = std::filesystem;

struct Outcome {
  int status = -1;
  std::string output;  // stdout and stderr
};

Outcome shell(const std::string& command) {
  Outcome outcome;
  FILE* const pipe = ::popen(("LC_ALL=C.UTF-8 exec 2>&1; " + command).c_str(), "r");
  if (pipe == nullptr) return outcome;
  char buffer[4096];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) outcome.output.append(buffer, got);
  outcome.status = ::pclose(pipe);
  return outcome;
}

std::string contents_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void save(const fs::path& path, const Bytes& archive) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(archive.data()), static_cast<std::streamsize>(archive.size()));
  out.close();
  ASSERT_TRUE(out);
}

class Interoperability : public ::testing::Test {
 protected:
  void SetUp() override {
    save(file_, pack(members_).archive);
    fs::create_directory(tree_);
  }

  // The tree in tree_ is what was packed, and nothing else.
  void expect_members() const {
    std::size_t found = 0;
    for (const auto& item : fs::recursive_directory_iterator(tree_))
      found += item.exists() || item.is_symlink() ? 1 : 0;
    EXPECT_EQ(found, members_.size() + 2);  // holdall, holdall/bundle.json
    EXPECT_EQ(contents_of(tree_ / "holdall/bundle.json"), to_json(small_info()));
    for (const Member& member : members_) {
      const fs::path path = tree_ / member.path;
      struct stat info {};
      ASSERT_EQ(::lstat(path.c_str(), &info), 0) << path;
      if (member.type == EntryType::kSymlink) {
        EXPECT_TRUE(S_ISLNK(info.st_mode)) << path;
        EXPECT_EQ(fs::read_symlink(path), member.contents) << path;
      } else if (member.type == EntryType::kDirectory) {
        EXPECT_TRUE(S_ISDIR(info.st_mode)) << path;
      } else {
        EXPECT_TRUE(contents_of(path) == member.contents) << path;
        EXPECT_EQ(info.st_mode & 07777, member.executable ? 0755u : 0644u) << path;
        EXPECT_EQ(info.st_mtime, 0) << path;
      }
    }
  }

  const std::vector<Member> members_ = varied_members();
  const TemporaryFolder folder_;
  const fs::path file_ = folder_.path() / "sample.tar.zst";
  const fs::path tree_ = folder_.path() / "tree";
};

TEST_F(Interoperability, GnuTarExtractsEveryMemberWithoutAWord) {
  const Outcome tar = shell("tar -xf '" + file_.string() + "' -C '" + tree_.string() + "'");
  EXPECT_EQ(tar.status, 0);
  EXPECT_EQ(tar.output, "");
  expect_members();
}

TEST_F(Interoperability, GnuTarReadsItFromAPipe) {
  const Outcome tar = shell("zstd -dcq '" + file_.string() + "' | tar -xf - -C '" + tree_.string() + "'");
  EXPECT_EQ(tar.status, 0);
  EXPECT_EQ(tar.output, "");
  expect_members();
}

TEST_F(Interoperability, BsdtarExtractsEveryMemberWithoutAWord) {
  if (shell("command -v bsdtar").status != 0) GTEST_SKIP() << "bsdtar is not installed";
  // It wants a locale that has the names' characters; a bare machine says none.
  const Outcome tar = shell("LC_ALL=C.UTF-8 bsdtar -xf '" + file_.string() + "' -C '" + tree_.string() + "'");
  EXPECT_EQ(tar.status, 0);
  EXPECT_EQ(tar.output, "");
  expect_members();
}

// bsdtar composes such names while it reads them; GNU tar and Holdall keep every byte.
TEST_F(Interoperability, GnuTarKeepsADecomposedNameAsItIs) {
  const std::string name = "e\xCC\x81";
  save(file_, pack({{name, EntryType::kRegular, "x"}}).archive);
  EXPECT_EQ(shell("tar -tf '" + file_.string() + "' --quoting-style=literal").output,
            "holdall/bundle.json\n" + name + "\n");
}

TEST_F(Interoperability, NoMemberHasAnOwner) {
  const Outcome tar = shell("tar --numeric-owner -tvf '" + file_.string() + "' | awk '{print $2}' | sort -u");
  EXPECT_EQ(tar.output, "0/0\n");
}

TEST_F(Interoperability, ZstdTestsEveryFrameAndChecksum) {
  const Outcome zstd = shell("zstd -tq '" + file_.string() + "'");
  EXPECT_EQ(zstd.status, 0);
  EXPECT_EQ(zstd.output, "");
}

TEST_F(Interoperability, ZstdNeedsNoMoreThanTheContentOfOneFrame) {
  EXPECT_EQ(shell("zstd -tq -M4MB '" + file_.string() + "'").status, 0);
}

}  // namespace
}  // namespace holdall::bundle
