// Whole files: read at once, and written so that they appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace holdall::runtime::files {

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
  // Closes the file and gives it its name, replacing what has it.
  void commit();

 private:
  std::filesystem::path file_;
  std::string temporary_;
  int fd_;
};

}  // namespace holdall::runtime::files
