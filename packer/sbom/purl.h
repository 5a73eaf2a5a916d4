// Package URLs (https://github.com/package-url/purl-spec): one name for a package whatever its ecosystem, by which
// scanners look it up.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace holdall::packer {

struct Purl {
  std::string type;        // "deb", "pypi", "conda", "generic"
  std::string space = {};  // "debian"
  std::string name;
  std::string version = {};
  std::map<std::string, std::string> qualifiers = {};  // those without a value are left out
};

// The canonical form: "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12".
std::string to_string(const Purl& purl);

// A Python package's name as purls have it: lower case, '_' as '-'.
std::string pypi_name(std::string_view name);

}  // namespace holdall::packer
