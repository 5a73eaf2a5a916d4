#include "bundle/file_io.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "bundle/file_descriptor.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using testing::bytes_of;

TEST(FileIo, ReadsAsFarAsTheFileGoes) {
  const FileDescriptor file(::memfd_create("file", MFD_CLOEXEC));
  ASSERT_TRUE(pwrite_all(file.get(), bytes_of("abcdef"), 1));
  std::array<std::byte, 16> out{};
  ASSERT_EQ(pread_all(file.get(), std::span(out).first(3), 2), 3);
  EXPECT_TRUE(std::ranges::equal(std::span(out).first(3), bytes_of("bcd")));
  EXPECT_EQ(pread_all(file.get(), out, 5), 2);
  EXPECT_EQ(pread_all(file.get(), out, 7), 0);
}

TEST(FileIo, TellsWhyItFailed) {
  const FileDescriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  EXPECT_FALSE(pwrite_all(full.get(), bytes_of("x"), 0));
  EXPECT_EQ(errno, ENOSPC);
  std::array<std::byte, 1> out{};
  EXPECT_EQ(pread_all(full.get(), out, 0), -1);
  EXPECT_EQ(errno, EBADF);
}

}  // namespace
}  // namespace holdall::bundle
