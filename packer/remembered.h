// What an earlier pack has read: `--remember FILE`. With it a file that has not changed since need not be read again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bundle/digest.h"
#include "bundle/writer.h"
#include "packer/input_file.h"

namespace holdall::packer {

std::int64_t wall_clock_ns();

struct RememberedFile {
  FileIdentity identity;
  bool elf = false;                          // it begins with ELF's magic bytes
  std::optional<bundle::Digest> original{};  // of the file's bytes, if it is known
  std::string edit{};                        // what was done to them, by a name of its own; empty: packed as they are
  bundle::Digest packed{};                   // of what was packed,
  std::vector<bundle::KnownChunk> chunks{};  // and how it was cut and compressed
};

// Belongs to one user on one machine, as a compiler's cache does: who can write the file decides what is packed.
class Remembered {
 public:
  // Reads `path`; if there is none, nothing is remembered yet. Throws Error{kUsage} for a file that is something else:
  // it would be replaced; Error{kStorage}.
  explicit Remembered(std::string path, std::int64_t now_ns = wall_clock_ns());

  // Results depend on more than the files. If `value` is not what it was, all is forgotten. Not thread-safe.
  void depend_on(const std::string& what, const std::string& value);

  // What is known of the file, if it is as it was. Thread-safe.
  const RememberedFile* find(const std::string& source) const;

  // Whether the archive is the one that note_archive() was told of, as it was then. Thread-safe.
  bool is_as_written(const std::string& archive) const;

  // For the next time. Nothing else that was remembered is kept. Not thread-safe.
  void note(const std::string& source, const RememberedFile& file);
  void note_archive(const std::string& path);  // what has just been written there
  void save() const;                           // replaces the file. Throws Error{kStorage}

 private:
  void load();

  std::string path_;
  std::int64_t recent_ns_ = 0;                             // what has changed since this time is not remembered
  std::map<std::string, std::string> depends_, depended_;  // now, and then
  std::unordered_map<std::string, RememberedFile> known_;
  std::optional<FileIdentity> archive_;  // that was written then
  std::optional<FileIdentity> written_;  // now
  std::vector<std::byte> noted_;         // records of the file
};

}  // namespace holdall::packer
