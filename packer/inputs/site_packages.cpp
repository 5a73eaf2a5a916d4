#include "packer/inputs/site_packages.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "bundle/error.h"
#include "bundle/member_path.h"
#include "packer/input_file.h"
#include "packer/wheel_records.h"

namespace holdall::packer {
namespace {

std::string_view view_of(const Member& member) {
  return member.path;
}

namespace fs = std::filesystem;
using bundle::EntryType;

constexpr std::uint64_t kMaxSmallFile = 1 << 20;
constexpr std::string_view kDistInfo = ".dist-info";

// The members right in folder `site`.
template <class Visit>
void each_in(const std::vector<Member>& members, const std::string& site, Visit visit) {
  const std::string start = site + "/";
  for (auto at = std::ranges::lower_bound(members, std::string_view(start), {}, view_of);
       at != members.end() && at->path.starts_with(start); ++at) {
    if (at->path.view().find('/', start.size()) == std::string_view::npos)
      visit(*at, std::string_view(at->path).substr(start.size()));
  }
}

bool is_editable(const std::string& direct_url) {
  const auto document = nlohmann::json::parse(read_whole(direct_url, kMaxSmallFile), nullptr, false);
  if (!document.is_object()) return false;
  const auto info = document.find("dir_info");
  return info != document.end() && info->is_object() && info->value("editable", nlohmann::json()) == true;
}

// Lines of a .pth or .egg-link file that name a folder which is there, and not below `folder`.
bool leads_out(const std::string& file, const std::string& folder) {
  std::istringstream lines(read_whole(file, kMaxSmallFile));
  for (std::string line; std::getline(lines, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (line.empty() || line.starts_with('#') || line.starts_with("import ") || line.starts_with("import\t")) continue;
    std::error_code error;
    const fs::path named = fs::canonical(fs::path(file).parent_path() / line, error);
    if (!error && !(named.string() + "/").starts_with(folder + "/")) return true;
  }
  return false;
}

}  // namespace

std::uint32_t find_member(const std::vector<Member>& members, std::string_view path) {
  const auto found = std::ranges::lower_bound(members, std::string_view(path), {}, view_of);
  if (found == members.end() || found->path != path) return Member::kNone;
  return static_cast<std::uint32_t>(found - members.begin());
}

std::string source_of_pyc(std::string_view path) {
  const std::string_view folder = bundle::parent_of(path);
  const std::string_view name = path.substr(folder.empty() ? 0 : folder.size() + 1);
  const bool in_cache = folder == "__pycache__" || folder.ends_with("/__pycache__");
  const auto dots = std::ranges::count(name, '.');
  if (!in_cache || !name.ends_with(".pyc") || dots < 2 || dots > 3) return {};
  const std::string_view above = bundle::parent_of(folder);
  return std::string(above) + (above.empty() ? "" : "/") + std::string(name.substr(0, name.find('.'))) + ".py";
}

std::vector<std::string> editable_packages(const Collection& collection, const std::string& site) {
  const std::string& folder = collection.roots[0].folder;
  const std::vector<Member>& members = collection.members;
  std::set<std::string> names;
  each_in(members, site, [&](const Member& member, std::string_view name) {
    const std::string path = folder + "/" + member.path;
    if (member.type == EntryType::kDirectory && name.ends_with(kDistInfo)) {
      const std::uint32_t found = find_member(members, member.path + "/direct_url.json");
      if (found != Member::kNone && members[found].type == EntryType::kRegular &&
          is_editable(folder + "/" + members[found].path)) {
        names.emplace(name.substr(0, name.find('-')));
      }
    } else if (member.type == EntryType::kRegular && (name.ends_with(".pth") || name.ends_with(".egg-link"))) {
      if (leads_out(path, folder)) names.emplace(name);
    }
  });
  return {names.begin(), names.end()};
}

void settle_editable_packages(const InputRequest& request, const std::string& site, Collection& collection) {
  const std::vector<std::string> names = editable_packages(collection, site);
  if (names.empty()) return;
  std::string message = "packages of '" + request.folder + "' are editable, their code lies elsewhere:";
  for (const std::string& name : names) message += " " + name;
  if (request.editable_packages == Tolerance::kRefuse) {
    throw bundle::Error(bundle::ErrorKind::kCannotPack,
                        message + ": install them without -e, or pass --ignore-editable-packages");
  }
  collection.warnings.push_back(message);
}

void assign_wheels(Collection& collection, const std::string& site) {
  const std::string& folder = collection.roots[0].folder;
  std::vector<std::string> wheels;
  each_in(collection.members, site, [&](const Member& member, std::string_view name) {
    if (member.type == EntryType::kDirectory && name.ends_with(kDistInfo)) wheels.emplace_back(member.path);
  });
  for (const std::string& wheel : wheels) {
    if (find_member(collection.members, wheel + "/RECORD") == Member::kNone) continue;
    const std::string name(wheel.substr(site.size() + 1, wheel.size() - site.size() - 1 - kDistInfo.size()));
    const std::size_t dash = name.find('-');
    const auto package = static_cast<std::uint32_t>(collection.packages.size());
    collection.packages.push_back({.kind = PackageRecord::Kind::kWheel,
                                   .name = name.substr(0, dash),
                                   .version = dash == name.npos ? "" : name.substr(dash + 1),
                                   .build = {}});
    try {
      for (const RecordLine& line : read_record(folder + "/" + wheel + "/RECORD")) {
        const std::uint32_t found =
            find_member(collection.members, (fs::path(site) / line.path).lexically_normal().string());
        if (found == Member::kNone || collection.members[found].package != Member::kNone) continue;
        Member& member = collection.members[found];
        member.package = package;
        if (line.digest && member.type == EntryType::kRegular) {
          member.digest = static_cast<std::uint32_t>(collection.digests.size());
          collection.digests.push_back(*line.digest);
        }
      }
    } catch (const bundle::Error& error) {
      collection.warnings.push_back(error.what());
    }
  }
}

}  // namespace holdall::packer
