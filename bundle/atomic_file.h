// An output file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace holdall::bundle {

// Writes beside `path`, to a file without a name where the filesystem has those (nothing is left even by SIGKILL), else
// to ".<name>.<random>.part". commit() makes it `path`, durably, replacing what was there; without it, the destructor
// discards what was written. Throws Error{kStorage, kNotFound}.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> data);
  void commit();  // once

 private:
  std::string random_name() const;
  void give_name();

  std::string path_, folder_, name_;
  std::string temporary_;  // path of the temporary; empty while the file has no name
  int fd_ = -1;
};

}  // namespace holdall::bundle
