#include "packer/sbom/debian_package.h"

#include <algorithm>
#include <fstream>
#include <string_view>

#include "bundle/error.h"
#include "packer/input_file.h"
#include "packer/sbom/purl.h"

namespace holdall::packer {
namespace {

constexpr std::uint64_t kMaxCopyright = 16 << 20;
constexpr std::string_view kMachineReadable = "://www.debian.org/doc/packaging-manuals/copyright-format/";

std::string unquoted(std::string text) {
  if (text.size() >= 2 && text.front() == text.back() && (text.front() == '"' || text.front() == '\''))
    text = text.substr(1, text.size() - 2);
  return text;
}

}  // namespace

Distribution read_distribution(const std::string& root) {
  Distribution result;
  std::ifstream lines(root + "/etc/os-release");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("ID=")) result.id = unquoted(line.substr(3));
    if (line.starts_with("VERSION_ID=")) result.version = unquoted(line.substr(11));
  }
  return result;
}

std::set<std::string> copyright_licences(std::string_view copyright) {
  std::set<std::string> names;
  if (copyright.substr(0, copyright.find('\n')).find(kMachineReadable) == copyright.npos) return names;
  while (!copyright.empty()) {
    const std::size_t end = std::min(copyright.find('\n'), copyright.size());
    std::string_view line = copyright.substr(0, end);
    copyright.remove_prefix(std::min(end + 1, copyright.size()));
    static constexpr std::string_view kField = "License:";
    if (!line.starts_with(kField)) continue;
    line.remove_prefix(std::min(line.find_first_not_of(" \t", kField.size()), line.size()));
    while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) names.emplace(line);
  }
  return names;
}

SbomComponent component_of(const DebianPackage& package, const Distribution& distribution) {
  SbomComponent result;
  result.name = package.name;
  result.version = package.version;
  result.purl = to_string(Purl{
      .type = "deb",
      .space = distribution.id,
      .name = package.name,
      .version = package.version,
      .qualifiers = {{"arch", package.architecture},
                     {"distro", distribution.version.empty() ? "" : distribution.id + "-" + distribution.version}}});
  result.ref = result.purl;
  // Debian's security data speaks of sources. The names are trivy's.
  if (!package.source.empty()) {
    result.properties["aquasecurity:trivy:PkgType"] = distribution.id;
    result.properties["aquasecurity:trivy:SrcName"] = package.source;
    result.properties["aquasecurity:trivy:SrcVersion"] = package.source_version;
  }
  for (const auto& [file, place] : package.licences) {
    if (!place.ends_with("/copyright")) continue;
    try {
      result.licences = copyright_licences(read_whole(file, kMaxCopyright));
    } catch (const bundle::Error&) {
      // packing the file will say why
    }
  }
  return result;
}

}  // namespace holdall::packer
