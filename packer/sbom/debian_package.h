// A Debian package as a component: its name for scanners, its licences, and whom it needs.
#pragma once

#include <set>
#include <string>

#include "packer/debian_records.h"
#include "packer/sbom/component.h"

namespace holdall::packer {

// What /etc/os-release says; scanners choose their data by it.
struct Distribution {
  std::string id = "debian";
  std::string version = {};  // "12"; empty: not known
};

// `root` as for DebianRecords.
Distribution read_distribution(const std::string& root);

SbomComponent component_of(const DebianPackage& package, const Distribution& distribution);

// The short names of a copyright file's licences ("Zlib", "GPL-2+"). Empty if it is not for machines to read.
std::set<std::string> copyright_licences(std::string_view copyright);

}  // namespace holdall::packer
