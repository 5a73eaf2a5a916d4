// Whether a prefix suits every file that would get it, known before anything is written: strings of fixed size have
// room for it, and a script's first line stays one that Linux runs.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/relocation.h"

namespace holdall::bundle {

// What follows "#!" ends at the first blank, and kernels before 5.1 cut the line here: BINPRM_BUF_SIZE less its NUL.
inline constexpr std::size_t kLongestShebang = 127;

// How much of a packed script shows whether its first line will do: one that fits with a prefix of one byte in the
// place of every placeholder ends within.
inline constexpr std::size_t kScriptHead = 4096;

// Whether scripts at `path` are meant to be run: it lies in a folder bin, sbin or libexec, however deep.
bool is_script_place(std::string_view path);

struct PrefixUser {
  std::string_view path;
  bool executable = false;
  const std::vector<Relocation>& records;
};

class PrefixCheck {
 public:
  explicit PrefixCheck(std::string prefix, LibcChoice libc = LibcChoice::kHost)
      : prefix_(std::move(prefix)), libc_(libc) {}

  // `head` gives the file's first kScriptHead bytes as packed (all of a shorter file); it is called for executable
  // files in a script's place only.
  void add(const PrefixUser& file, const std::function<std::string()>& head);

  // Throws Error{kStorage}: the file with the least room and the longest path that fits, or all scripts that Linux
  // could not start.
  void require() const;

 private:
  std::string prefix_;
  LibcChoice libc_;
  std::optional<std::size_t> longest_;  // that has room everywhere
  std::string tightest_;                // the file that sets it
  std::vector<std::string> scripts_;    // that would not start
};

}  // namespace holdall::bundle
