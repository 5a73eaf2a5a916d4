// What a tree knows of its own relocation, so that one that plain tar unpacked can be completed, and one that was moved
// can be relocated again: holdall/relocations.json, a member that the packer adds, and holdall/prefix, which whoever
// relocates the tree writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/digest.h"
#include "bundle/relocation.h"

namespace holdall::bundle {

inline constexpr std::string_view kRelocationListPath = "holdall/relocations.json";
inline constexpr std::string_view kPrefixPath = "holdall/prefix";
inline constexpr std::size_t kLargestPrefixFile = std::size_t{1} << 20;

// A text file is relocated in memory.
inline constexpr std::uint64_t kLargestText = std::uint64_t{256} << 20;

// A file that holds placeholders as packed.
struct RelocatedFile {
  std::string path;  // relative to the folder that holds holdall/
  bool executable = false;
  std::uint64_t size = 0;  // as packed
  Digest digest{};         // as packed
  std::vector<Relocation> records;
};

// A link to a program of the host, as a venv has that uses the host's Python: never a member, made by relocation.
struct HostLink {
  std::string path;    // as above; no member has it
  std::string target;  // absolute
};

struct RelocationList {
  std::vector<RelocatedFile> files;
  std::vector<HostLink> links;
};

// Canonical JSON: the same list, sorted by path, gives the same bytes.
std::string to_json(const RelocationList& list);

// Parses and validates untrusted bytes. Throws Error{kBadBundle} naming the entry.
RelocationList parse_relocation_list(std::string_view json);

// holdall/prefix: what the relocated files hold, one path a line. One: the tree is relocated for it. Several: a
// relocation was interrupted, and each file holds one of them or is as packed.
std::string prefix_lines(const std::vector<std::string>& prefixes);
std::vector<std::string> parse_prefix_lines(std::string_view text);

}  // namespace holdall::bundle
