// Files: read whole or open to be mapped, and written so that they appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace holdall::runtime::files {

// Throws runtime::Error{kNotFound, kStorage} for the errno of what could not be done: failed("open", file, errno).
[[noreturn]] void failed(const char* what, const std::filesystem::path& file, int error);

// A file open for reading. Throws runtime::Error{kNotFound, kStorage}.
class ReadOnly {
 public:
  explicit ReadOnly(const std::filesystem::path& file);
  ReadOnly(const ReadOnly&) = delete;
  ReadOnly& operator=(const ReadOnly&) = delete;
  ~ReadOnly();
  int get() const { return fd_; }

 private:
  int fd_;
};

// Throws runtime::Error{kNotFound, kStorage}.
std::vector<std::byte> read_file(const std::filesystem::path& file);

// A file that nobody sees before commit(): until then it has a temporary name beside its own. Every function throws
// runtime::Error{kNotFound, kStorage}.
class NewFile {
 public:
  explicit NewFile(std::filesystem::path file);
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile();  // without commit() nothing is left behind

  void write(std::span<const std::byte> bytes);
  // Waits until what was written is on the disk.
  void sync();
  // Closes the file and gives it its name, replacing what has it.
  void commit(unsigned mode = 0644);

 private:
  std::filesystem::path file_;
  std::string temporary_;
  int fd_;
};

}  // namespace holdall::runtime::files
