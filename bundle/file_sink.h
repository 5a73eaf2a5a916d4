// One file being unpacked: created unreadable to others, filled from many threads, and given its mode only once every
// byte was proven.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "bundle/extract.h"
#include "bundle/safe_folder.h"

namespace holdall::bundle {

class FileSink {
 public:
  // `folder` and `entry` must outlive the sink. Nothing is created yet.
  FileSink(const SafeFolder& folder, const Entry& entry) : folder_(folder), entry_(entry) {}
  ~FileSink();
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  // Creates the file at the first call, with its space reserved. Thread-safe.
  void create(std::uint64_t size);

  // Instead of create() and write(): makes the file what `file` is, as large as the entry. Its blocks are shared where
  // the filesystem can, else copied. Returns the digest of what is there now.
  Digest copy_from(int file);

  // Thread-safe for ranges that do not overlap.
  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  void start_writeback(std::uint64_t offset, std::uint64_t size);  // so that little is left to sync(); may do nothing

  // Applies records that keep the file's length; the bytes were proven before.
  void relocate_in_place(const std::string& prefix, LibcChoice libc);
  Digest digest_of_contents() const;  // as they are now, read back

  // Mode and time; what the file's record says of it. Digest left empty.
  InstalledFile reveal(std::int64_t mtime_seconds);

  void sync();   // fsync; throws Error{kStorage} on EIO
  void close();  // checked

 private:
  void reserve(std::uint64_t size) const;

  const SafeFolder& folder_;
  const Entry& entry_;
  std::mutex mutex_;
  int fd_ = -1;
};

}  // namespace holdall::bundle
