// What conda writes down: an environment's conda-meta/*.json, and in the package cache info/paths.json, info/files and
// info/has_prefix. All of it may be broken: each reader throws Error{kCannotPack} naming the file (`path`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/digest.h"
#include "packer/inputs/collection.h"

namespace holdall::packer {

// Of info/has_prefix's lines with a path only. In two pieces, so that it does not stand in this program's own bytes.
inline constexpr std::string_view kCondaPlaceholderStart = "/opt/anaconda1anaconda2";
inline constexpr std::string_view kCondaPlaceholderEnd = "anaconda3";

inline constexpr std::uint64_t kLargestCondaRecord = std::uint64_t{512} << 20;  // of a million files: 300 MB

struct CondaPath {
  std::string path;
  PrefixUse use = PrefixUse::kNone;
  std::string placeholder;               // kText, kBinary
  std::optional<bundle::Digest> digest;  // in the environment, if that is known
};

struct CondaRecord {
  std::string name, version, build;
  std::string link_source;    // the package in the cache; empty if none is recorded
  std::string site_packages;  // python_site_packages_path; empty if none
  // What the package is and was made from; each empty if the record does not say.
  std::string channel, platform;  // an address or a name; "linux-64"
  std::string file_name;          // of the package: "zlib-1.3-0.conda"
  std::string licence, sha256, md5;
  std::vector<std::string> depends;  // match specifications: "python >=3.11"
  bool noarch_python = false;        // says the record; older ones leave it to the package in the cache
  std::vector<std::string> files;    // relative to the environment
  std::vector<CondaPath> paths;      // paths_data; of a noarch package, paths may be the package's own
  bool has_paths = false;            // records of old conda have no paths_data
};
CondaRecord parse_conda_record(std::string_view json, const std::string& path);

// An address of conda's without what lets somebody in: user and password, `/t/TOKEN`, a query. Others stay as they are.
std::string without_credentials(std::string address);

// info/paths.json.
std::vector<CondaPath> parse_paths_json(std::string_view json, const std::string& path);

// info/files with info/has_prefix: a line is "path" (text, conda's old placeholder) or "placeholder mode path", each
// word with or without quotes.
std::vector<CondaPath> parse_files_list(std::string_view files);
std::vector<CondaPath> parse_has_prefix(std::string_view text, const std::string& path);

// info/link.json or info/package_metadata.json: is it a noarch Python package?
bool parse_is_noarch_python(std::string_view json, const std::string& path);

}  // namespace holdall::packer
