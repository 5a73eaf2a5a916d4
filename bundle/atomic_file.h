// An output file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace holdall::bundle {

// Writes beside `path`, to a file without a name where the filesystem has those, which gets the name
// ".<name>.<random>.part" for the moment before its rename only; elsewhere it has that name all along. A SIGKILL while
// it has one leaves it. commit() makes it `path`, durably, replacing what was there; without it, the destructor
// discards what was written. Throws Error{kStorage, kNotFound}.
//
// Made for archives of gigabytes that nobody reads back at once: past the page cache where the filesystem can, and to
// the disk while more is written, so that little is left to wait for in commit(). Uses 4 MiB of memory and one thread.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> data);
  void finish();  // once, after the last write; all of it is on the disk, and only a rename is left for commit()
  void commit();  // once; finishes first where that is not done

  // Open for reading and writing; stays ours. For another program to write to instead of write(), and to read back.
  int descriptor() const { return fd_; }

 private:
  class Syncer;
  enum class Caching { kOn, kOff };  // by the kernel, of what is written
  struct Free {
    void operator()(std::byte* memory) const;
  };

  std::string random_name() const;
  void give_name();
  void set_caching(Caching caching);
  void flush();

  std::string path_, folder_, name_;
  std::string temporary_;  // path of the temporary; empty while the file has no name
  int fd_ = -1;
  Caching caching_ = Caching::kOn;
  std::unique_ptr<std::byte[], Free> block_;  // bytes that are not in the file yet
  std::size_t filled_ = 0;                    // of them
  std::unique_ptr<Syncer> syncer_;            // once there is much to sync
};

}  // namespace holdall::bundle
