#include "packer/sbom/elf_identity.h"

#include <nlohmann/json.hpp>

#include "packer/sbom/purl.h"

namespace holdall::packer {
namespace {

constexpr std::uint32_t kPackageNote = 0xcafe1a7e;  // systemd.io/ELF_PACKAGE_METADATA
constexpr std::string_view kPackageOwner = "FDO";
constexpr std::size_t kLongestBuildId = 64;

// purl-spec: a type is not encoded, so that one which is no type would break the purl.
bool is_purl_type(std::string_view text) {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  return !text.empty() && kLetters.find(text.front()) != text.npos &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == text.npos;
}

}  // namespace

std::string build_id(const ElfFile& file) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const ElfNote& note : file.notes()) {
    if (note.owner != "GNU" || note.type != NT_GNU_BUILD_ID || note.contents.size() > kLongestBuildId) continue;
    for (const std::byte byte : note.contents) {
      text += kDigits[std::to_integer<unsigned>(byte) >> 4];
      text += kDigits[std::to_integer<unsigned>(byte) & 15];
    }
    break;
  }
  return text;
}

std::optional<SbomComponent> noted_package(const ElfFile& file) {
  for (const ElfNote& note : file.notes()) {
    if (note.owner != kPackageOwner || note.type != kPackageNote) continue;
    std::string_view text(reinterpret_cast<const char*>(note.contents.data()), note.contents.size());
    text = text.substr(0, text.find('\0'));
    const auto document = nlohmann::json::parse(text, nullptr, false);
    if (!document.is_object()) return std::nullopt;
    const auto value = [&](const char* key) {
      const auto found = document.find(key);
      return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    SbomComponent result;
    result.name = value("name");
    if (result.name.empty()) return std::nullopt;
    result.version = value("version");
    const std::string type = value("type"), system = value("os"), release = value("osVersion");
    result.purl =
        to_string(Purl{.type = is_purl_type(type) ? type : "generic",
                       .space = system,
                       .name = result.name,
                       .version = result.version,
                       .qualifiers = {{"arch", value("architecture")},
                                      {"distro", system.empty() || release.empty() ? "" : system + "-" + release}}});
    result.ref = result.purl;
    return result;
  }
  return std::nullopt;
}

}  // namespace holdall::packer
