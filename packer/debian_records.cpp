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

// Of the files that a package has, those that a bundle may take along: libraries, and a Python's interpreter.
bool is_wanted(std::string_view path) {
  return path.find(".so", path.rfind('/') + 1) != path.npos || path.starts_with("/usr/bin/python");
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

// The packages that a relationship names: "libc6 (>= 2.14), python3:any | pypy" → libc6, pypy, python3.
std::set<std::string> names_in(std::string_view relationship) {
  std::set<std::string> names;
  while (!relationship.empty()) {
    const std::size_t end = std::min(relationship.find_first_of(",|"), relationship.size());
    std::string_view one = relationship.substr(0, end);
    relationship.remove_prefix(std::min(end + 1, relationship.size()));
    one.remove_prefix(std::min(one.find_first_not_of(' '), one.size()));
    one = one.substr(0, one.find_first_of(" (:"));
    if (!one.empty()) names.emplace(one);
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
      if (is_wanted(line)) owners_.emplace(without_usr(line), item.path().stem().string());
    }
  }
}

void DebianRecords::load_status() {
  std::ifstream lines(root_ + std::string(kAdmin) + "/status");
  std::string package, architecture;
  Status status;
  const auto field = [](const std::string& line, std::string_view name) {
    return line.starts_with(name) ? std::optional(line.substr(name.size())) : std::nullopt;
  };
  const auto finish = [&] {
    if (!status.version.empty()) status_.emplace(package + ":" + architecture, status);
    status = {};
  };
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) finish();
    if (const auto name = field(line, "Package: ")) package = *name;
    if (const auto name = field(line, "Architecture: ")) architecture = *name;
    if (const auto version = field(line, "Version: ")) status.version = *version;
    if (const auto source = field(line, "Source: ")) status.source = *source;
    for (const char* const name : {"Depends: ", "Pre-Depends: "})
      if (const auto depends = field(line, name)) status.depends += "," + *depends;
  }
  finish();
}

std::shared_ptr<const DebianPackage> DebianRecords::describe(const std::string& list_name) {
  auto& known = packages_[list_name];
  if (known) return known;
  auto package = std::make_shared<DebianPackage>();
  const std::size_t colon = list_name.find(':');
  package->name = list_name.substr(0, colon);
  // A list without an architecture is of the machine's own, or of "all".
  const std::string prefix = package->name + ":";
  for (auto at = status_.lower_bound(prefix); at != status_.end() && at->first.starts_with(prefix); ++at) {
    if (colon != list_name.npos && at->first != list_name) continue;
    const Status& status = at->second;
    package->architecture = at->first.substr(prefix.size());
    package->version = status.version;
    package->source = status.source.empty() ? package->name : status.source.substr(0, status.source.find(' '));
    // "Source: gcc-12 (12.2.0-14)" where the source's version is another.
    const std::size_t open = status.source.find('('), close = status.source.find(')');
    package->source_version =
        open < close && close != status.source.npos ? status.source.substr(open + 1, close - open - 1) : status.version;
    package->depends = names_in(status.depends);
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
    load_status();
    loaded_ = true;
  }
  const auto owner = owners_.find(without_usr(real_path.substr(root_.size())));
  return owner == owners_.end() ? nullptr : describe(owner->second);
}

}  // namespace holdall::packer
