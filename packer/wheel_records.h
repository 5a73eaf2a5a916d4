// Python wheels as they lie unpacked in a site folder: *.dist-info/RECORD says which file belongs to which wheel and
// what its sha256 is, so that a library's bytes can be compared with what its vendor published.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bundle/digest.h"

namespace holdall::packer {

struct Wheel {
  std::string name;                   // "nvidia_cublas-13.1.1.3", the dist-info folder without its suffix
  std::string site;                   // the folder that holds the dist-info folder
  std::vector<std::string> licences;  // relative to `site`, sorted
};

struct WheelFile {
  std::shared_ptr<const Wheel> wheel;
  bundle::Digest digest{};
};

// Reads each site folder's RECORDs once. Not thread-safe.
class WheelRecords {
 public:
  // `real_path` has its links resolved. nullopt if no RECORD above it lists it. Throws Error{kCannotPack} for a RECORD
  // that is broken.
  std::optional<WheelFile> find(const std::string& real_path);

 private:
  struct Site {
    std::map<std::string, WheelFile> files;  // relative path → what its wheel says
  };
  const Site& site(const std::string& folder);
  std::map<std::string, Site> sites_;
};

struct RecordLine {
  std::string path;  // relative to the site folder; may begin with ".."
  std::optional<bundle::Digest> digest;
};

// A RECORD's lines. Throws Error{kCannotPack} naming `path` if it is broken.
std::vector<RecordLine> read_record(const std::string& path);

// RECORD's "sha256=<urlsafe base64 without padding>". nullopt if it is anything else.
std::optional<bundle::Digest> parse_record_digest(std::string_view text);

// The inverse.
std::string record_digest(const bundle::Digest& digest);

}  // namespace holdall::packer
