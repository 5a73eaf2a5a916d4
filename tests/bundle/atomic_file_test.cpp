#include "bundle/atomic_file.h"

#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;
namespace fs = std::filesystem;

std::string contents_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicFile, AppearsWholeAtCommit) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "out";
  AtomicFile file(path);
  file.write(bytes_of("hello "));
  EXPECT_FALSE(fs::exists(path));
  file.write(bytes_of("world"));
  file.commit();
  EXPECT_EQ(contents_of(path), "hello world");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  const TemporaryFolder folder;
  { AtomicFile(folder.path() / "out").write(bytes_of("half")); }
  EXPECT_EQ(files_in(folder.path()), 0u);
}

TEST(AtomicFile, ReplacesOnlyAtCommit) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "out";
  std::ofstream(path) << "old";
  {
    AtomicFile dropped(path);
    dropped.write(bytes_of("lost"));
  }
  EXPECT_EQ(contents_of(path), "old");
  AtomicFile file(path);
  file.write(bytes_of("new"));
  file.commit();
  EXPECT_EQ(contents_of(path), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, TakesAFileNameOfTheLargestLength) {
  const TemporaryFolder folder;
  AtomicFile file(folder.path() / std::string(255, 'x'));
  file.commit();
  EXPECT_TRUE(fs::exists(folder.path() / std::string(255, 'x')));
}

TEST(AtomicFile, NamesTheFolderThatIsMissing) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "none/out";
  const std::string message = error_of(ErrorKind::kNotFound, [&] { AtomicFile file(path); });
  EXPECT_EQ(message, "cannot create '" + path + "': no such file or directory");
}

TEST(AtomicFile, RefusesAFolderAsItsTarget) {
  const TemporaryFolder folder;
  error_of(ErrorKind::kStorage, [&] { AtomicFile file(folder.path()); });
}

}  // namespace
}  // namespace holdall::bundle
