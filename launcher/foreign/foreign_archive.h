// An archive that Holdall did not frame: conda-pack's, holdall-pack's .tar.gz, .zip and so on, a plain tar or zip. It
// is read twice: first for what it has, where everything that no bundle may have is refused and nothing is written;
// then it is made into a bundle, which is installed and checked as any other. So there is one way to unpack.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/file_descriptor.h"
#include "bundle/reader.h"
#include "bundle/relocation_list.h"
#include "bundle/writer.h"
#include "launcher/foreign/conda_unpack.h"
#include "launcher/foreign/member_stream.h"

namespace holdall::launcher {

// What an archive has, in its order, by the rules that every bundle keeps.
struct ForeignContents {
  std::vector<Member> members;    // without what becomes the bundle's own: bundle.json, toc.json
  std::set<std::string> folders;  // all of them, also those that no member names
  std::map<std::string, std::vector<std::string>> names;   // further names of a file: hard links
  std::map<std::string, PrefixRecord> prefixes;            // of the files that hold somebody's prefix
  std::map<std::string, bundle::RelocatedFile> relocated;  // of those that hold the placeholder already
  std::map<std::string, std::int64_t> source_times;        // of Python's sources
  bool described = false;  // it begins with a holdall/bundle.json, and brings its own relocation list
  bool attributes = false;
  std::string root;             // the folder that it keeps everything in, as far as it says so
  std::int64_t mtime = 0;       // the newest
  std::uint32_t time_step = 1;  // seconds that its times are multiples of
  bundle::BundleInfo info;
};

class ForeignArchive {
 public:
  // Reads all of it. `name`: of the bundle, where the archive does not say; characters that no name may have become
  // '-'. `check` is called all the while and may throw to cancel. Throws Error{kBadBundle} for what is damaged, for
  // members that lead out of the tree, stand in each other's place or are no files, folders or links, and for contents
  // out of proportion to the archive.
  ForeignArchive(std::shared_ptr<const bundle::RandomAccess> archive, const std::string& name,
                 const std::function<void()>& check);

  // Its holdall/bundle.json if it begins with one; else name and sizes, and an empty architecture: not known.
  const bundle::BundleInfo& info() const { return contents_.info; }
  // Extended attributes or access lists, which no bundle has.
  bool drops_attributes() const { return contents_.attributes; }
  const std::shared_ptr<const bundle::RandomAccess>& bytes() const { return archive_; }

  // Writes the bundle; the same archive always gives the same bytes. Throws Error{kBadBundle} for a checksum that does
  // not agree, or what has changed since it was read; what the functions throw.
  struct Output {
    bundle::ByteSink sink;
    std::function<bundle::FileDescriptor()> scratch;  // a file to keep one member in
    std::function<void()> check;                      // called all the while; may throw to cancel
    std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};  // in bytes of contents
  };
  void write_bundle(const Output& output) const;

 private:
  std::shared_ptr<const bundle::RandomAccess> archive_;
  ForeignContents contents_;
};

// Whether a bundle of this description says what its programs need: those made of a foreign archive do not.
inline bool knows_needs(const bundle::BundleInfo& info) {
  return !info.requires_host.arch.empty();
}

}  // namespace holdall::launcher
