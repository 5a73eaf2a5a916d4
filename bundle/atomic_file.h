// An output file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace holdall::bundle {

// Writes beside `path`, to a file without a name where the filesystem has those, which gets the name
// ".<name>.<random>.part" for the moment before its rename only; elsewhere it has that name all along. A SIGKILL while
// it has one leaves it. commit() makes it `path`, durably, replacing what was there; without it, the destructor
// discards what was written. Throws Error{kStorage, kNotFound}.
//
// Made for archives of gigabytes that nobody reads back at once: they go to the disk while more is written, so that
// little is left to wait for in commit(), and do not fill the page cache.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> data);
  // Of another open file, which has them. In the kernel where that does it, sharing blocks where it can.
  void copy(int from, std::uint64_t offset, std::uint64_t size);
  void finish();  // once, after the last write; all of it is on the disk, and only a rename is left for commit()
  void commit();  // once; finishes first where that is not done

  // Open for reading and writing; stays ours. For another program to write to instead of write(), and to read back.
  int descriptor() const { return fd_; }

 private:
  std::string temporary_path() const;
  void give_name();
  void flush();
  void put(std::span<const std::byte> data);
  void gather(int from, std::uint64_t offset, std::size_t size);
  void start_write_back();
  void write_back(std::uint64_t offset, unsigned flags);

  std::string path_, folder_, name_;
  std::string temporary_;  // path of the temporary; empty while the file has no name
  int fd_ = -1;
  std::vector<std::byte> gathered_;  // not in the file yet
  std::uint64_t written_ = 0;        // bytes in the file
  std::uint64_t started_ = 0;        // of these, on their way to the disk
};

}  // namespace holdall::bundle
