// One pass over an archive that is none of ours, member by member. libarchive reads it and writes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "bundle/reader.h"

namespace holdall::launcher {

enum class MemberType { kFile, kFolder, kSymlink, kHardLink };

struct Member {
  std::string path;  // without "./" before it and "/" behind it; empty: the archive's root. Else as it stands there
  MemberType type = MemberType::kFile;
  bool executable = false;
  std::uint64_t size = 0;  // of a file, bytes
  std::string target;      // of a link
  std::int64_t mtime = 0;  // seconds

  bool operator==(const Member&) const = default;
};

// Whether `head`, an archive's first bytes, starts a gzip, bzip2, xz, zstd, zip or tar file.
bool is_foreign_format(std::span<const std::byte> head);

class MemberStream {
 public:
  // `check` is called before each read and may throw to cancel. Throws Error{kBadBundle}: neither tar nor zip.
  MemberStream(std::shared_ptr<const bundle::RandomAccess> archive, std::function<void()> check);
  MemberStream(MemberStream&&) noexcept;
  ~MemberStream();

  // The next member, nullopt at the end. Throws Error{kBadBundle}: what is damaged, encrypted or has a name that is no
  // UTF-8; what is no file, folder or link; a file that is setuid, setgid or sticky.
  std::optional<Member> next();

  // Of the current file: fills `out` as far as it goes; 0 at its end.
  std::size_t read(std::span<std::byte> out);

  bool has_attributes() const;      // extended attributes or access lists were seen: they are dropped
  const char* format_name() const;  // "tar" or "zip"

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdall::launcher
