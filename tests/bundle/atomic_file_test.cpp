#include "bundle/atomic_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <vector>

#include "bundle/file_descriptor.h"
#include "bundle/file_io.h"
#include "tests/bundle/bundle_fixture.h"

namespace {
// What a filesystem may answer, but none at hand does: the linker (--wrap) puts these before the C library's calls.
int answer = 0;  // errno of every sync_file_range; 0: the kernel's own
}  // namespace

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names
int __real_sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags);
int __wrap_sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  if (answer == 0) return __real_sync_file_range(fd, offset, size, flags);
  errno = answer;
  return -1;
}
// NOLINTEND(bugprone-reserved-identifier)
}

namespace holdall::bundle {
namespace {

using namespace testing;
namespace fs = std::filesystem;

std::string contents_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool is_page_cache(const fs::path& folder) {
  struct statfs info {};
  return ::statfs(folder.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
}

std::size_t cached_pages(const fs::path& path) {
  const std::size_t size = fs::file_size(path);
  const int fd = ::open(path.c_str(), O_RDONLY);
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  std::vector<unsigned char> pages((size + 4095) / 4096);
  EXPECT_EQ(::mincore(memory, size, pages.data()), 0);
  ::munmap(memory, size);
  return static_cast<std::size_t>(std::ranges::count_if(pages, [](unsigned char page) { return (page & 1) != 0; }));
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

// Of one on another filesystem, which no kernel copies by itself, and of one on the same.
TEST(AtomicFile, TakesRangesOfAnotherFile) {
  const TemporaryFolder folder;
  const std::string contents = noise(6'000'000, 1);
  std::ofstream(folder.path() / "from") << contents;
  const FileDescriptor near(::open((folder.path() / "from").c_str(), O_RDONLY | O_CLOEXEC));
  const FileDescriptor far(::memfd_create("from", MFD_CLOEXEC));
  ASSERT_TRUE(near && far);
  ASSERT_TRUE(pwrite_all(far.get(), bytes_of(contents), 0));
  const std::string path = folder.path() / "out";
  for (const int from : {near.get(), far.get()}) {
    AtomicFile file(path);
    std::string wanted;
    std::uint64_t offset = 1;
    for (const std::size_t size : {1u, 1000u, 65'535u, 65'536u, 200'000u, 262'145u, 5'000'000u}) {
      file.write(bytes_of("between"));
      file.copy(from, offset, size);
      wanted += "between" + contents.substr(offset, size);
      offset += size;
    }
    file.commit();
    EXPECT_TRUE(contents_of(path) == wanted);
    AtomicFile longer(path);
    EXPECT_THAT(error_of(ErrorKind::kStorage, [&] { longer.copy(from, 5'900'000, 200'000); }),
                ::testing::HasSubstr("ends early"));
  }
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

TEST(AtomicFile, HasAllOfItOnTheDiskBeforeItHasItsName) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "out";
  {
    AtomicFile dropped(path);
    dropped.write(bytes_of("dropped"));
    dropped.finish();
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
  AtomicFile file(path);
  file.write(bytes_of("whole"));
  file.finish();
  EXPECT_FALSE(fs::exists(path));
  file.commit();
  EXPECT_EQ(contents_of(path), "whole");
}

// Sizes at and beside the blocks that are written at a time; the largest is synced while it is written.
TEST(AtomicFile, HoldsEveryByteWhateverTheSizesOfTheWrites) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "out";
  const std::string text = noise(70 << 20, 5);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4} << 20, (std::size_t{4} << 20) + 1,
                                 (std::size_t{8} << 20) - 1, text.size()}) {
    AtomicFile file(path);
    for (std::size_t at = 0; at < size; at += 3'000'017)
      file.write(bytes_of(text.substr(at, std::min<std::size_t>(3'000'017, size - at))));
    file.commit();
    EXPECT_TRUE(contents_of(path) == text.substr(0, size)) << size;
  }
}

// An archive of gigabytes that nobody reads back shall not push everything else out of the page cache.
TEST(AtomicFile, LeavesThePageCacheAlone) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "out";
  if (is_page_cache(folder.path())) GTEST_SKIP() << folder.path() << " is in memory";
  AtomicFile file(path);
  for (int i = 0; i < 100; ++i) file.write(bytes_of(std::string(1'500'000, 'x')));
  file.commit();
  EXPECT_LE(cached_pages(path), 1u);
}

TEST(AtomicFile, SaysWhyAWriteFailed) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "out";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limited{.rlim_cur = 6 << 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limited), 0);
  const std::string message = error_of(ErrorKind::kStorage, [&] {
    AtomicFile file(path);
    file.write(bytes_of(std::string(9 << 20, 'x')));
    file.commit();
  });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, ignored);
  EXPECT_EQ(message, "cannot write '" + path + "': file too large");
  EXPECT_EQ(files_in(folder.path()), 0u);
}

// The kernel says so only once: not to the fsync at the end.
TEST(AtomicFile, SaysWhatTheDiskCouldNotTake) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "out";
  const std::string message = error_of(ErrorKind::kStorage, [&] {
    AtomicFile file(path);
    answer = EIO;
    file.write(bytes_of(std::string(8 << 20, 'x')));
  });
  answer = 0;
  EXPECT_EQ(message, "cannot write '" + path + "': input/output error");
  EXPECT_EQ(files_in(folder.path()), 0u);
}

// Containers filter calls.
TEST(AtomicFile, LeavesAllToFsyncWhereWriteBackIsDenied) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "out";
  const std::string text = noise(9 << 20, 5);
  AtomicFile file(path);
  answer = EPERM;
  file.write(bytes_of(text));
  file.commit();
  answer = 0;
  EXPECT_TRUE(contents_of(path) == text);
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
