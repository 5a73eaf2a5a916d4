#include "packer/sbom/conda_package.h"

#include <algorithm>
#include <string_view>

#include "packer/sbom/purl.h"

namespace holdall::packer {
namespace {

// "conda-forge" of "https://conda.anaconda.org/conda-forge/linux-64", and of "conda-forge". Empty for a folder of the
// build machine and for an address that is a host only.
std::string channel_name(const std::string& address, const std::string& platform) {
  const std::string cleaned = without_credentials(address);
  std::string_view channel = cleaned;
  if (channel.starts_with("file:") || channel.starts_with('/')) return {};
  const std::size_t scheme = channel.find("://");
  while (channel.ends_with('/')) channel.remove_suffix(1);
  if (!platform.empty() && channel.ends_with("/" + platform)) channel.remove_suffix(platform.size() + 1);
  const std::size_t name = channel.rfind('/') + 1;  // 0: there is no '/'
  if (scheme != channel.npos && name <= scheme + 3) return {};
  return std::string(channel.substr(name));
}

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

}  // namespace

SbomComponent component_of(const CondaRecord& record) {
  SbomComponent result;
  result.name = record.name;
  result.version = record.version;
  const bool old_archive = record.file_name.ends_with(".tar.bz2");
  result.purl = to_string(Purl{.type = "conda",
                               .name = record.name,
                               .version = record.version,
                               .qualifiers = {{"build", record.build},
                                              {"channel", channel_name(record.channel, record.platform)},
                                              {"subdir", record.platform},
                                              {"type", record.file_name.empty() ? ""
                                                       : old_archive            ? "tar.bz2"
                                                                                : "conda"}}});
  result.ref = result.purl;
  if (!record.licence.empty()) result.licences.insert(record.licence);
  if (is_hex(record.sha256, 64)) result.hashes["SHA-256"] = record.sha256;
  if (is_hex(record.md5, 32)) result.hashes["MD5"] = record.md5;
  return result;
}

std::set<std::string> needed_packages(const CondaRecord& record) {
  std::set<std::string> names;
  for (const std::string& spec : record.depends) {
    std::string name = spec.substr(0, spec.find_first_of(" =<>!~["));  // a match specification begins with the name
    if (!name.empty()) names.insert(std::move(name));
  }
  return names;
}

}  // namespace holdall::packer
