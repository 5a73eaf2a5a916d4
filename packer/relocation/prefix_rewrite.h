// Puts placeholders where a file names the build prefix, and records where: what the file will be is planned, nothing
// is written.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "bundle/relocation.h"
#include "packer/input_file.h"
#include "packer/path_search.h"
#include "packer/relocation/shebang.h"
#include "packer/relocation/spliced_file.h"

namespace holdall::packer {

enum class ContentKind {
  kUnknown,  // text if it has no NUL
  kText,
  kBinary,
};

struct FileFacts {
  std::string bundle_path;
  ContentKind kind = ContentKind::kUnknown;
  // What a package recorded: the length of the placeholder that stood where the prefix stands, in characters. The C
  // strings of a binary then have as much room as that, filled with NUL. 0: not known, the prefix's own length.
  std::size_t placeholder_length = 0;
};

struct PrefixRewrite {
  std::vector<Splice> splices;                  // of the file
  std::vector<bundle::Relocation> relocations;  // of what it becomes
  bool empty() const { return splices.empty(); }
};

// The same with `destination` (absolute, no trailing slash; bundle::PrefixCheck takes it) at once, in the place of the
// placeholders: nothing is left to relocate.
PrefixRewrite settled(PrefixRewrite rewrite, const std::string& destination);

// The rules for one set of prefixes. Const members are thread-safe.
class PrefixRewriter {
 public:
  // `prefixes`: every spelling that files may have, at least two bytes each.
  PrefixRewriter(std::vector<PrefixSpelling> prefixes, ShebangForm shebang);

  // Occurrences at path boundaries count, as bytes and as UTF-16 and UTF-32.
  // - Text: each becomes kPlaceholder, so that the length of the build prefix does not show. A script's first line
  //   becomes independent of the place where it can (shebang.h).
  // - Anything else: inside C strings, up to their NUL or the file's end; of one length. A self-locating prefix becomes
  //   a placeholder without a record. A script with a binary payload gets its first line recorded as such.
  // What cannot be rewritten stays, and the leak audit speaks up: a string without an end within 64 KiB, or with a path
  // in another encoding before its end; too short a prefix. `check` is called now and then and may throw to cancel.
  PrefixRewrite plan(const ReadableFile& file, const FileFacts& facts, const std::function<void()>& check = {}) const;

 private:
  struct Found;
  struct Scan;
  Scan scan(const ReadableFile& file, const std::function<void()>& check) const;
  PrefixRewrite plan_text(const ReadableFile& file, const FileFacts& facts, const Scan& scan) const;
  PrefixRewrite plan_binary(const ReadableFile& file, const FileFacts& facts, const Scan& scan) const;

  std::vector<PrefixSpelling> prefixes_;
  ShebangForm shebang_;
  PathSearch search_;
};

}  // namespace holdall::packer
