// A read-only input file, opened once, read by position. Inputs are untrusted and may change while we read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "bundle/error.h"

namespace holdall::packer {

// Bytes by position, with a name for messages: a file, or what a file will become.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual const std::string& path() const = 0;
  virtual std::uint64_t size() const = 0;  // when it was opened

  // Fills `out` as far as the file goes; returns how many bytes were read. Throws Error{kStorage}.
  virtual std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

// What the kernel tells of a file and changes whenever the file does. A change is missed only where it falls into the
// same tick of the kernel's clock as the one before it, and where a process goes on writing through a mapping that it
// had before.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t mtime_ns = 0, ctime_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};
std::optional<FileIdentity> identity_of(const std::string& path);  // nothing if it is no file that can be examined

class InputFile final : public ReadableFile {
 public:
  // Throws Error{kNotFound, kStorage} and, for anything that is not a regular file, Error{kCannotPack}.
  explicit InputFile(std::string path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  ~InputFile() override;

  const std::string& path() const override { return path_; }
  std::uint64_t size() const override { return size_; }
  std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const override;

  std::int64_t mtime_ns() const { return mtime_ns_; }  // when it was opened
  FileIdentity identity() const;                       // now. Throws Error{kStorage}

  // Throws changed_while_packed() if size or time are others than when it was opened. Not every change is seen: two
  // writes within one tick of the kernel's clock look like one.
  void require_unchanged() const;

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::int64_t mtime_ns_ = 0;
};

std::int64_t nanoseconds(const std::timespec& time);

// For an input that is another one than when it was found, or is gone. Not the input's fault: packing again may do.
bundle::Error changed_while_packed(const std::string& path);

// Of a file whose time was not noted. An optional would be twice as large, and a plan may have a million of them.
inline constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

// Opens a file again that was found before; throws changed_while_packed() if it is gone, or has another size or time.
struct FoundFile {
  std::string path;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = kNoTime;  // if it was noted
};
InputFile open_found(const FoundFile& found);

// The whole file. Throws Error{kCannotPack} if it is larger than `limit`.
std::string read_whole(const std::string& path, std::uint64_t limit);
std::string read_whole(const ReadableFile& file, std::uint64_t limit);

}  // namespace holdall::packer
