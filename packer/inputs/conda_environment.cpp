// A conda environment: conda-meta/ says what conda manages in it.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "bundle/error.h"
#include "bundle/member_path.h"
#include "packer/faults.h"
#include "packer/input_file.h"
#include "packer/inputs/collect.h"
#include "packer/inputs/conda_record.h"
#include "packer/inputs/site_packages.h"
#include "packer/inputs/tree_walk.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;

// What lies at the top of an environment and is not of it: the caches and environments of a base environment, and what
// older versions of conda and its installers leave there.
bool is_left_out(std::string_view name) {
  static const std::set<std::string_view> kNames{"pkgs",      "envs",          "conda-bld",   ".conda_lock",
                                                 "users",     "conda-recipes", ".index",      ".unionfs",
                                                 ".nonadmin", "python.app",    "Launcher.app"};
  return kNames.contains(name) || name.ends_with('~') || name.ends_with(".DS_STORE");
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

class CondaCollector {
 public:
  CondaCollector(const InputRequest& request, const std::string& folder, const std::function<void()>& check)
      : request_(request), folder_(folder), check_(check) {}

  Collection run() {
    result_ = collect_tree(request_, folder_, InputKind::kConda, {.leaves_out = is_left_out, .check = check_});
    find_site_packages();
    if (Member* const history = find("conda-meta/history"); history != nullptr)
      history->role = MemberRole::kCondaHistory;
    for (std::size_t i = 0; i < result_.members.size(); ++i) {
      if (!is_record(result_.members[i])) continue;
      if (check_) check_();
      result_.members[i].role = MemberRole::kCondaRecord;
      add_package(read_record(result_.members[i]));
    }
    refuse_missing();
    drop_unmanaged();
    if (!site_packages_.empty()) {
      settle_editable_packages(request_, site_packages_, result_);
      assign_wheels(result_, site_packages_);
    }
    warn();
    return std::move(result_);
  }

 private:
  Member* find(std::string_view path) {
    const std::uint32_t found = find_member(result_.members, path);
    return found == Member::kNone ? nullptr : &result_.members[found];
  }

  static bool is_record(const Member& member) {
    return member.type == EntryType::kRegular && bundle::parent_of(member.path) == "conda-meta" &&
           member.path.ends_with(".json");
  }

  CondaRecord read_record(const Member& member) const {
    const std::string path = folder_ + "/" + member.path;
    return parse_conda_record(read_whole(path, kLargestCondaRecord), path);
  }

  void find_site_packages() {
    for (const Member& member : result_.members) {
      if (!is_record(member) || !member.path.starts_with("conda-meta/python-")) continue;
      const CondaRecord record = read_record(member);
      if (record.name != "python") continue;
      if (!site_packages_.empty()) {
        throw bundle::Error(bundle::ErrorKind::kCannotPack,
                            "cannot pack '" + request_.folder + "': conda-meta has two records of python: repair it");
      }
      const std::size_t dot = record.version.find('.');
      const std::size_t end = dot == record.version.npos ? dot : record.version.find('.', dot + 1);
      site_packages_ = record.site_packages.empty() ? "lib/python" + record.version.substr(0, end) + "/site-packages"
                                                    : record.site_packages;
    }
  }

  void add_package(const CondaRecord& record) {
    const auto package = static_cast<std::uint32_t>(result_.packages.size());
    result_.packages.push_back(
        {.kind = PackageRecord::Kind::kConda, .name = record.name, .version = record.version, .build = record.build});
    const KnownPaths known = known_paths(record);
    std::vector<std::string> missing;
    const auto own = [&](const std::string& path) -> Member* {
      Member* const member = find(path);
      if (member == nullptr) {
        if (path != ".nonadmin" && !(known.noarch_python && path.ends_with(".pyc"))) missing.push_back(path);
        return nullptr;
      }
      if (member->package == package) return member;
      if (member->package != Member::kNone && member->type != EntryType::kDirectory) {
        clobbered_[{member->package, package}].push_back(path);
        member->prefix_use = PrefixUse::kUnknown;
        member->digest = Member::kNone;
        return nullptr;
      }
      member->package = package;
      return member;
    };
    for (const std::string& file : record.files) own(file);
    for (const CondaPath& path : known.paths) {
      Member* const member = find(path.path);
      if (member == nullptr || member->package != package || member->type != EntryType::kRegular) continue;
      member->prefix_use = path.use;
      if (path.use != PrefixUse::kNone) member->placeholder = placeholder(path.placeholder);
      if (path.digest && member->digest == Member::kNone) {
        member->digest = static_cast<std::uint32_t>(result_.digests.size());
        result_.digests.push_back(*path.digest);
      }
    }
    if (!missing.empty()) missing_.emplace(record.name + " " + record.version, std::move(missing));
  }

  // What is known of a package's files, under their names in the environment.
  struct KnownPaths {
    std::vector<CondaPath> paths;
    bool noarch_python = false;
  };
  KnownPaths known_paths(const CondaRecord& record) {
    KnownPaths known{.paths = {}, .noarch_python = record.noarch_python};
    auto& [paths, is_noarch] = known;
    const std::string info = record.link_source + "/info/";
    const auto read = [](const std::string& path) { return read_whole(path, kLargestCondaRecord); };
    if (record.has_paths) {
      paths = record.paths;
    } else if (!record.link_source.empty() && exists(info)) {
      for (const char* const name : {"link.json", "package_metadata.json"}) {
        if (exists(info + name)) is_noarch = is_noarch || parse_is_noarch_python(read(info + name), info + name);
      }
      if (exists(info + "paths.json")) {
        paths = parse_paths_json(read(info + "paths.json"), info + "paths.json");
      } else if (exists(info + "files")) {
        paths = parse_files_list(read(info + "files"));
        if (exists(info + "has_prefix")) {
          auto with_prefix = parse_has_prefix(read(info + "has_prefix"), info + "has_prefix");
          std::ranges::move(with_prefix, std::back_inserter(paths));  // the later line of a path counts
        }
      }
    } else if (!record.files.empty()) {
      unknown_.push_back(record.name + " " + record.version);
    }
    if (is_noarch) {
      if (site_packages_.empty()) {
        throw bundle::Error(bundle::ErrorKind::kCannotPack,
                            "cannot pack '" + request_.folder + "': package '" + record.name +
                                "' is for any Python, and there is none: install python or remove the package");
      }
      for (CondaPath& path : paths) {
        if (path.path.starts_with("site-packages/")) path.path.replace(0, 13, site_packages_);
        if (path.path.starts_with("python-scripts/")) path.path.replace(0, 14, "bin");
      }
    }
    return known;
  }

  std::uint32_t placeholder(const std::string& text) {
    const auto [place, is_new] = placeholders_.emplace(text, result_.placeholders.size());
    if (is_new) result_.placeholders.push_back(text);
    return static_cast<std::uint32_t>(place->second);
  }

  void refuse_missing() {
    if (missing_.empty()) return;
    std::string message = "files that conda manages are missing in '" + request_.folder + "':";
    for (auto& [package, files] : missing_) {
      message += "\n  " + package + ":";
      std::ranges::sort(files);
      for (const std::string& line : shortened(files)) message += "\n    " + line;
    }
    if (request_.missing_files == Tolerance::kAccept) {
      result_.warnings.push_back(message);
      return;
    }
    throw bundle::Error(bundle::ErrorKind::kCannotPack,
                        message +
                            "\npip has removed or replaced them, as a rule: reinstall the packages with conda, or pass "
                            "--ignore-missing-files");
  }

  // Of what no package owns: scripts that old versions of conda put into an environment when it is activated, and the
  // bytecode that Python has compiled from conda's sources since (the target will do so again).
  void drop_unmanaged() {
    std::vector<Member> kept;
    kept.reserve(result_.members.size());
    std::vector<bool> dropped(result_.members.size());
    for (std::size_t i = 0; i < dropped.size(); ++i) {
      const Member& member = result_.members[i];
      if (member.package != Member::kNone || member.type == EntryType::kDirectory) continue;
      const std::string& path = member.path;
      dropped[i] = path == "bin/conda" || path == "bin/activate" || path == "bin/deactivate";
      if (const std::string source = source_of_pyc(path); !source.empty()) {
        const Member* const found = find(source);
        dropped[i] = found != nullptr && found->package != Member::kNone;
      }
    }
    for (std::size_t i = 0; i < dropped.size(); ++i) {
      if (!dropped[i]) kept.push_back(std::move(result_.members[i]));
    }
    result_.members = std::move(kept);
  }

  void warn() {
    for (auto& [packages, files] : clobbered_) {
      std::string line = "packages '" + result_.packages[packages.first].name + "' and '" +
                         result_.packages[packages.second].name + "' both brought:";
      std::ranges::sort(files);
      for (const std::string& file : shortened(files)) line += " " + file;
      result_.warnings.push_back(line);
    }
    if (unknown_.empty()) return;
    std::string line =
        "neither conda-meta nor a package cache knows where these packages hold their prefix, so it is "
        "looked for:";
    for (const std::string& package : shortened(unknown_)) line += " " + package;
    result_.warnings.push_back(line);
  }

  const InputRequest& request_;
  const std::string& folder_;
  const std::function<void()>& check_;
  Collection result_;
  std::string site_packages_;  // empty: no Python
  std::map<std::string, std::size_t> placeholders_;
  std::map<std::string, std::vector<std::string>> missing_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::string>> clobbered_;
  std::vector<std::string> unknown_;
};

}  // namespace

Collection collect_conda(const InputRequest& request, const std::string& folder, const std::function<void()>& check) {
  return CondaCollector(request, folder, check).run();
}

}  // namespace holdall::packer
