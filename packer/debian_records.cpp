#include "packer/debian_records.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string_view>

#include "packer/input_file.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxCopyright = 16 << 20;
constexpr std::string_view kAdmin = "/var/lib/dpkg";
constexpr std::string_view kCommonLicences = "/usr/share/common-licenses/";

// Where /lib leads to /usr/lib, a package's list may still say /lib.
std::string without_usr(std::string_view path) {
  if (path.starts_with("/usr/")) path.remove_prefix(4);
  return std::string(path);
}

bool is_library(std::string_view path) {
  return path.find(".so", path.rfind('/') + 1) != path.npos;
}

// The names below /usr/share/common-licenses that a text mentions.
std::set<std::string> common_licences(std::string_view text) {
  std::set<std::string> names;
  for (std::size_t at = text.find(kCommonLicences); at != text.npos; at = text.find(kCommonLicences, at + 1)) {
    const std::size_t begin = at + kCommonLicences.size();
    const std::size_t end =
        std::min(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-+", begin),
                 text.size());
    std::string_view name = text.substr(begin, end - begin);
    while (name.ends_with('.')) name.remove_suffix(1);  // of the sentence
    if (!name.empty()) names.emplace(name);
  }
  return names;
}

}  // namespace

void DebianRecords::load_lists() {
  std::error_code ignored;
  for (const fs::directory_entry& item : fs::directory_iterator(root_ + std::string(kAdmin) + "/info", ignored)) {
    if (item.path().extension() != ".list") continue;
    std::ifstream lines(item.path());
    for (std::string line; std::getline(lines, line);) {
      if (is_library(line)) owners_.emplace(without_usr(line), item.path().stem().string());
    }
  }
}

void DebianRecords::load_versions() {
  std::ifstream lines(root_ + std::string(kAdmin) + "/status");
  std::string package, architecture;
  const auto field = [](const std::string& line, std::string_view name) {
    return line.starts_with(name) ? std::optional(line.substr(name.size())) : std::nullopt;
  };
  for (std::string line; std::getline(lines, line);) {
    if (const auto name = field(line, "Package: ")) package = *name;
    if (const auto name = field(line, "Architecture: ")) architecture = *name;
    if (const auto version = field(line, "Version: ")) versions_.emplace(package + ":" + architecture, *version);
  }
}

std::shared_ptr<const DebianPackage> DebianRecords::describe(const std::string& list_name) {
  auto& known = packages_[list_name];
  if (known) return known;
  auto package = std::make_shared<DebianPackage>();
  const std::size_t colon = list_name.find(':');
  package->name = list_name.substr(0, colon);
  // A list without an architecture is of the machine's own, or of "all".
  const std::string prefix = package->name + ":";
  for (auto at = versions_.lower_bound(prefix); at != versions_.end() && at->first.starts_with(prefix); ++at) {
    if (colon != list_name.npos && at->first != list_name) continue;
    package->version = at->second;
  }
  const std::string copyright = root_ + "/usr/share/doc/" + package->name + "/copyright";
  std::error_code ignored;
  if (fs::is_regular_file(copyright, ignored)) {
    package->licences.emplace_back(copyright, package->name + "/copyright");
    for (const std::string& name : common_licences(read_whole(copyright, kMaxCopyright))) {
      const std::string text = root_ + std::string(kCommonLicences) + name;
      if (fs::is_regular_file(text, ignored)) package->licences.emplace_back(text, "common-licenses/" + name);
    }
    std::ranges::sort(package->licences, {}, &std::pair<std::string, std::string>::second);
  }
  return known = package;
}

std::shared_ptr<const DebianPackage> DebianRecords::find(const std::string& real_path) {
  if (!real_path.starts_with(root_ + "/usr/") && !real_path.starts_with(root_ + "/lib")) return nullptr;
  if (!loaded_) {
    load_lists();
    load_versions();
    loaded_ = true;
  }
  const auto owner = owners_.find(without_usr(real_path.substr(root_.size())));
  return owner == owners_.end() ? nullptr : describe(owner->second);
}

}  // namespace holdall::packer
