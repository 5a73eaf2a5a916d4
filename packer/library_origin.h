// Where a library comes from: the wheel or Debian package that brought it, its recorded digest and its licences.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bundle/digest.h"
#include "packer/debian_records.h"
#include "packer/wheel_records.h"

namespace holdall::packer {

struct LibraryOrigin {
  std::string package;                   // "nvidia_cublas-13.1.1.3", "zlib1g-1:1.2.13.dfsg-1"; empty: none is known
  std::optional<bundle::Digest> digest;  // of a wheel's file: as published
  bool system = false;                   // a Debian package's
};

struct Licence {
  std::string source;   // the file
  std::string to;       // its place in the bundle, below share/licenses/
  std::string package;  // as in LibraryOrigin
};

// A package that brought a library: a Debian package, or a wheel.
struct FoundPackage {
  std::string label;                            // as in LibraryOrigin
  std::shared_ptr<const DebianPackage> debian;  // null: a wheel
  std::string metadata;                         // of a wheel: its METADATA, which may be missing
};

class LibraryOrigins {
 public:
  // `system_root` as for DebianRecords.
  explicit LibraryOrigins(std::string system_root) : debian_(std::move(system_root)) {}

  // `real_path` has its links resolved. Throws Error{kCannotPack} for a wheel's RECORD that is broken.
  LibraryOrigin find(const std::string& real_path);

  // Of all packages that were found so far, in a fixed order. A licence that several refer to is there once.
  std::vector<Licence> licences() const;
  std::vector<std::string> packages_without_licence() const;
  std::map<std::string, std::string> versions() const;  // package → version
  std::vector<FoundPackage> packages() const;

 private:
  WheelRecords wheels_;
  DebianRecords debian_;
  std::map<std::string, std::shared_ptr<const Wheel>> used_wheels_;
  std::map<std::string, std::shared_ptr<const DebianPackage>> used_debian_;
};

}  // namespace holdall::packer
