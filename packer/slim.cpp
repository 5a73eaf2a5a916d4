#include "packer/slim.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>

#include "packer/plan.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;

constexpr std::array<SlimRule, 5> kRules{{
    {"static-archives", "static archives and libtool's notes (*.a, *.la): only a linker reads them"},
    {"headers", "headers below include/: only a compiler reads them"},
    {"tests", "tests of Python packages and of the standard library"},
    {"pycache", "__pycache__: Python compiles again what it imports, at every start if it may not write"},
    {"docs", "share/doc, share/man, share/info, share/gtk-doc"},
}};

struct Path {
  std::vector<std::string> folders;
  std::string name;

  explicit Path(std::string_view text) {
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t end = std::min(text.find('/', at), text.size());
      folders.emplace_back(text.substr(at, end - at));
      at = end + 1;
    }
    name = std::move(folders.back());
    folders.pop_back();
  }
  bool under(std::string_view folder) const { return std::ranges::find(folders, folder) != folders.end(); }
  bool under(std::string_view parent, std::string_view child) const {
    for (std::size_t i = 1; i < folders.size(); ++i) {
      if (folders[i - 1] == parent && folders[i] == child) return true;
    }
    return false;
  }
};

bool is_licence_name(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  static constexpr std::array<std::string_view, 7> kNames{"licen",   "copying", "copyright", "notice",
                                                          "patents", "authors", "third"};
  return std::ranges::any_of(kNames, [&](std::string_view start) { return name.starts_with(start); });
}

bool always_stays(const Path& path) {
  const std::string& top = path.folders.empty() ? path.name : path.folders.front();
  return top == "bin" || top == "holdall" || top == "model" || top == "conda-meta" || is_licence_name(path.name) ||
         std::ranges::any_of(path.folders, [](const std::string& folder) {
           return folder.ends_with(".dist-info") || folder == "licenses" || folder == "common-licenses";
         });
}

bool is_header(const std::string& name) {
  static constexpr std::array<std::string_view, 11> kSuffixes{".h",   ".hh",  ".hpp", ".hxx", ".h++", ".cuh",
                                                              ".inl", ".ipp", ".tcc", ".tpp", ".ixx"};
  return std::ranges::any_of(kSuffixes, [&](std::string_view suffix) { return name.ends_with(suffix); });
}

// "python3.11": the folder of the standard library.
bool is_python_folder(std::string_view name) {
  return name.starts_with("python3") && name.find_first_not_of("0123456789.", 6) == name.npos;
}

// Below site-packages only "tests": "test" is the name of modules that programs import (django.test).
bool is_test(const Path& path) {
  bool site = false, standard = false;
  for (const std::string& folder : path.folders) {
    if (site && folder == "tests") return true;
    if (!site && standard && (folder == "test" || folder == "tests" || folder == "idle_test")) return true;
    site = site || folder == "site-packages" || folder == "dist-packages";
    standard = standard || is_python_folder(folder);
  }
  return false;
}

// Adds folders that held something and hold nothing any more, and links to what is dropped.
void drop_what_leads_nowhere(const std::vector<PlannedMember>& members, std::set<std::string>& dropped) {
  const auto parent = [](const PlannedMember& member) { return fs::path(member.entry.path).parent_path(); };
  std::set<std::string> holders, emptied, used;  // folders
  for (const PlannedMember& member : members) holders.insert(parent(member).string());
  for (const PlannedMember& member : members) {
    const bool gone = dropped.contains(member.entry.path);
    if (member.entry.type == EntryType::kDirectory && holders.contains(member.entry.path)) continue;
    std::set<std::string>& folders = gone ? emptied : used;
    for (fs::path at = parent(member); !at.empty(); at = at.parent_path()) {
      if (!folders.insert(at.string()).second) break;
    }
  }
  for (const PlannedMember& member : members) {
    const std::string& path = member.entry.path;
    if (member.entry.type == EntryType::kDirectory && emptied.contains(path) && !used.contains(path)) {
      dropped.insert(path);
    }
    if (member.entry.type != EntryType::kSymlink) continue;
    const fs::path target = fs::path(path).parent_path() / member.entry.link_target.view();
    if (dropped.contains(target.lexically_normal().string())) dropped.insert(path);
  }
}

}  // namespace

std::span<const SlimRule> slim_rules() {
  return kRules;
}

const SlimRule* slim_rule_for(std::string_view text) {
  const Path path(text);
  if (always_stays(path)) return nullptr;
  if (path.name.ends_with(".a") || path.name.ends_with(".la")) return &kRules[0];
  if (path.under("include") && is_header(path.name)) return &kRules[1];
  if (is_test(path)) return &kRules[2];
  if (path.under("__pycache__")) return &kRules[3];
  for (const char* const folder : {"doc", "man", "info", "gtk-doc"}) {
    if (path.under("share", folder)) return &kRules[4];
  }
  return nullptr;
}

std::vector<SlimDrop> slim(std::vector<PlannedMember>& members, Slimming slimming) {
  std::map<const SlimRule*, SlimDrop> drops;
  std::set<std::string> dropped;
  for (const PlannedMember& member : members) {
    if (member.entry.type != EntryType::kRegular || member.entry.vendor) continue;
    const SlimRule* const rule = slim_rule_for(member.entry.path);
    if (rule == nullptr) continue;
    SlimDrop& drop = drops[rule];
    drop.rule = rule->name;
    ++drop.files;
    drop.bytes += member.entry.size;
    dropped.insert(member.entry.path);
  }
  if (slimming == Slimming::kDrop && !dropped.empty()) {
    for (std::size_t before = 0; before != dropped.size();) {
      before = dropped.size();
      drop_what_leads_nowhere(members, dropped);
    }
    std::erase_if(members, [&](const PlannedMember& member) { return dropped.contains(member.entry.path); });
  }
  std::vector<SlimDrop> result;
  for (const SlimRule& rule : kRules) {
    if (const auto found = drops.find(&rule); found != drops.end()) result.push_back(found->second);
  }
  return result;
}

}  // namespace holdall::packer
