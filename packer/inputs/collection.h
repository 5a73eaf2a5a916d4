// What the inputs of an archive yield: the interface between collecting and making relocatable.
//
//   holdall-pack -n NAME | -p PREFIX | the layers of a manifest
//        |   packer/inputs/ decides which files, links and folders, whose they are, and what was recorded about them
//        v
//   Collection
//        |   the relocation stage turns one Member after the other into bytes without the build prefix, and records
//        v
//   PackPlan -> pack()
//
// A collector opens metadata only (conda-meta, pyvenv.cfg, dist-info), not the files it collects: nothing here depends
// on their contents. Finding scripts, ELF and .pyc files in them is the relocation stage's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bundle/digest.h"
#include "bundle/toc.h"
#include "packer/text.h"

namespace holdall::packer {

enum class InputKind : std::uint8_t { kConda, kVenv, kPrefix };

// A folder of the build machine that stands for a folder of the bundle.
struct InputRoot {
  InputKind kind = InputKind::kPrefix;
  Text folder;     // absolute, links resolved, no trailing slash
  std::string to;  // its place in the bundle; empty: the bundle's own root
  Text layer;      // of its members: bundle::Entry::layer
  // The spellings under which files may name `folder`: as given, and resolved; longest first. In the installed tree
  // each stands for "<tree>/<to>". Empty if they are to stay: a base interpreter's /usr means the host's.
  std::vector<std::string> prefixes;
  bool self_locating = false;  // PrefixSpelling::self_locating
};

// Whose a file is.
struct PackageRecord {
  enum class Kind : std::uint8_t { kConda, kWheel } kind = Kind::kConda;
  std::string name, version, build;
};

// What a conda package recorded about a file. Where the package had its placeholder, conda has put the environment's
// prefix: in text, as it is; in a C string, with as many NULs behind the string as the prefix is shorter than the
// placeholder, once for each occurrence. So the capacity of such a string is known although the placeholder is gone.
enum class PrefixUse : std::uint8_t {
  kUnknown,  // nobody says: look for the prefixes
  kNone,     // the package had none in it; but who has edited the file since may have brought the prefix in
  kText,
  kBinary,
};

// What a file is for, where that decides about its contents.
enum class MemberRole : std::uint8_t {
  kPlain,
  kCondaRecord,   // conda-meta/*.json: says where the package came from on the build machine
  kCondaHistory,  // conda-meta/history: says by which commands
  kVenvActivate,  // a stock activate script of venv or virtualenv, which names its folder
  kInterpreter,   // a packed base interpreter: finds its libraries in $ORIGIN/../lib, as do the modules that it loads
  kHostLink,      // the interpreter of a venv that uses the host's: a link that relocation creates. Never in the tar
};

struct Member {
  static constexpr std::uint32_t kNone = 0xffffffff;

  Text path;                      // relative to its root: to InputRoot::folder here, to InputRoot::to in the bundle
  Text link_target;               // of a link: relative, inside the bundle; of a kHostLink: absolute, on the host
  std::uint64_t size = 0;         // of a regular file, when it was found
  std::int64_t mtime_ns = 0;      // of a regular file, when it was found: one with another time has changed since. Not
                                  // ctime, which a new hard link to the file changes, as conda makes them
  std::uint32_t root = 0;         // index of Collection::roots
  std::uint32_t package = kNone;  // index of Collection::packages
  std::uint32_t placeholder = kNone;  // kText, kBinary: index of Collection::placeholders
  std::uint32_t digest = kNone;       // index of Collection::digests: its sha256 in the folder, says its package
  std::uint32_t substitute = kNone;   // index of Collection::substitutes: where the bytes come from instead
  bundle::EntryType type = bundle::EntryType::kRegular;
  PrefixUse prefix_use = PrefixUse::kUnknown;
  MemberRole role = MemberRole::kPlain;
  bool executable = false;
};

// Bytes of a regular member that are not those of <root folder>/<path>.
struct Substitute {
  std::string source;    // another file: a link that is packed as what it leads to
  std::string contents;  // if `source` is empty. As it would stand in InputRoot::folder: may name the prefix
};

struct Collection {
  std::vector<InputRoot> roots;
  std::vector<PackageRecord> packages;
  std::vector<std::string> placeholders;
  std::vector<Substitute> substitutes;
  std::vector<bundle::Digest> digests;
  // Sorted by their place in the bundle; with every folder between a root and what it holds. No two have one place.
  std::vector<Member> members;
  std::vector<std::string> warnings;
};

// The file to read a regular member from; empty if its bytes are its substitute's contents.
inline JoinedPath source_of(const Collection& collection, const Member& member) {
  if (member.substitute != Member::kNone) return collection.substitutes[member.substitute].source;
  return {collection.roots[member.root].folder, member.path};
}

inline Text bundle_path(const Collection& collection, const Member& member) {
  const std::string& to = collection.roots[member.root].to;
  return to.empty() ? member.path : Text(to + "/" + member.path);
}

}  // namespace holdall::packer
