// pread(2), pwrite(2) and fsync(2) of all that is asked for: the calls themselves may do a part, or nothing where a
// signal comes.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace holdall::bundle {

// How many bytes were read: fewer than `out` has only where the file ends. -1 and errno on failure.
ssize_t pread_all(int fd, std::span<std::byte> out, std::uint64_t offset);

// Whether all was written; else errno.
bool pwrite_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset);

// Whether what was written is on the disk; else errno.
bool fsync_all(int fd);

}  // namespace holdall::bundle
