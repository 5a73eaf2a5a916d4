// A venv: a folder of packages whose interpreter and standard library lie in another installation (PEP 405).
#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <sstream>

#include "bundle/error.h"
#include "bundle/member_path.h"
#include "packer/closure.h"
#include "packer/input_file.h"
#include "packer/inputs/base_python.h"
#include "packer/inputs/collect.h"
#include "packer/inputs/site_packages.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;
using bundle::Error;
using bundle::ErrorKind;

constexpr std::uint64_t kMaxSettings = 1 << 20;

// What venv, virtualenv and uv put into bin/. Each names the venv's folder.
bool is_activate_script(std::string_view path) {
  static const std::set<std::string_view> kNames{"bin/activate",       "bin/activate.csh",     "bin/activate.fish",
                                                 "bin/activate.nu",    "bin/activate.ps1",     "bin/Activate.ps1",
                                                 "bin/activate.xsh",   "bin/activate_this.py", "bin/activate.bat",
                                                 "bin/deactivate.bat", "bin/deactivate.nu"};
  return kNames.contains(path);
}

bool is_interpreter_name(std::string_view path, const std::string& versioned) {
  return path == "bin/python" || path == "bin/python3" || path == "bin/" + versioned;
}

class VenvCollector {
 public:
  VenvCollector(const InputRequest& request, const std::string& folder, const std::function<void()>& check)
      : request_(request), folder_(folder), check_(check) {}

  Collection run() {
    settings_text_ = read_whole(folder_ + "/pyvenv.cfg", kMaxSettings);
    settings_ = parse_pyvenv_cfg(settings_text_);
    const auto system = settings_.find("include-system-site-packages");
    if (packs_python() && system != settings_.end() && system->second == "true") {
      throw Error(ErrorKind::kCannotPack, "cannot pack '" + request_.folder +
                                              "': it uses the system's site-packages, which are not packed: make it "
                                              "without --system-site-packages, or pass --python-prefix");
    }
    version_ = find_version();
    has_base_ = fs::is_regular_file(folder_ + "/" + kBasePythonFolder + "/bin/python" + version_);
    if (packs_python() && !has_base_) base_ = find_base_python(folder_, settings_, version_);

    Collection result = collect_tree(request_, folder_, InputKind::kVenv,
                                     {.outside_link =
                                          [&](const std::string& path, const std::string&) {
                                            if (is_interpreter_name(path, "python" + version_))
                                              return OutsideLink::kKeep;
                                            return request_.outside_links == Tolerance::kAccept ? OutsideLink::kCopy
                                                                                                : OutsideLink::kRefuse;
                                          },
                                      .check = check_});
    if (has_base_ && !packs_python()) {
      std::erase_if(result.members, [](const Member& member) {
        return (member.path + "/").starts_with(std::string(kBasePythonFolder) + "/");
      });
    }
    for (Member& member : result.members) place(member, result);
    for (const std::string& site : {lib_ + "/python" + version_ + "/site-packages"}) {
      settle_editable_packages(request_, site, result);
      assign_wheels(result, site);
    }
    return result;
  }

  // The second root of a venv whose interpreter is packed and not in it yet.
  std::optional<Collection> base() const {
    if (!packs_python() || has_base_) return std::nullopt;
    const std::string to = (request_.to.empty() ? "" : request_.to + "/") + kBasePythonFolder;
    return collect_base_python(base_, {.to = to, .library_folders = system_library_folders()}, check_);
  }

 private:
  bool packs_python() const { return request_.python == PythonSource::kPacked; }

  std::string find_version() {
    std::set<std::string> versions;
    for (const char* const lib : {"lib", "lib64"}) {
      std::error_code error;
      for (fs::directory_iterator at(folder_ + "/" + lib, error), end; !error && at != end; at.increment(error)) {
        const std::string name = at->path().filename().string();
        if (!name.starts_with("python") || !fs::is_directory(at->path() / "site-packages")) continue;
        if (versions.insert(name.substr(6)).second) lib_ = lib;
      }
    }
    if (versions.size() != 1) {
      throw Error(ErrorKind::kCannotPack, "cannot pack '" + request_.folder +
                                              "': " + (versions.empty() ? "no" : "more than one") +
                                              " lib/python*/site-packages is in it: make the venv again");
    }
    return *versions.begin();
  }

  void place(Member& member, Collection& result) const {
    const std::string name = "python" + version_;
    if (member.path == "pyvenv.cfg" && member.type == EntryType::kRegular) {
      const std::string contents = settings();
      member.size = contents.size();
      member.substitute = static_cast<std::uint32_t>(result.substitutes.size());
      result.substitutes.push_back({.source = {}, .contents = contents});
    } else if (is_activate_script(member.path) && member.type == EntryType::kRegular) {
      member.role = MemberRole::kVenvActivate;
    } else if (is_interpreter_name(member.path, name) && is_base_interpreter(member)) {
      member.type = EntryType::kSymlink;
      member.size = 0;
      member.executable = false;
      if (packs_python()) {
        member.link_target = std::string("../") + kBasePythonFolder + "/bin/" + name;
      } else {
        member.role = MemberRole::kHostLink;
        member.link_target = request_.python_prefix + "/bin/" + name;
      }
    }
  }

  // A link out of the venv or to the interpreter that was packed with it; or, made with --copies, the same program once
  // more.
  bool is_base_interpreter(const Member& member) const {
    if (member.type == EntryType::kSymlink)
      return member.link_target.starts_with("/") || leads_out(member.link_target.str());
    if (member.type != EntryType::kRegular) return false;
    return !packs_python() || (!has_base_ && InputFile(base_.executable).size() == member.size);
  }

  bool leads_out(const std::string& target) const {
    const fs::path arrived = (fs::path("bin") / target).lexically_normal();
    return !arrived.empty() && (*arrived.begin() == ".." || (has_base_ && *arrived.begin() == kBasePythonFolder));
  }

  // pyvenv.cfg for the packed venv. What else tells how it was made is of this machine.
  std::string settings() const {
    static const std::set<std::string> kOfThisMachine{"executable",       "command",         "base-prefix",
                                                      "base-exec-prefix", "base-executable", "extends-environment"};
    const std::string home =
        packs_python() ? folder_ + "/" + kBasePythonFolder + "/bin" : request_.python_prefix + "/bin";
    std::string result;
    std::istringstream lines(settings_text_);
    for (std::string line; std::getline(lines, line);) {
      const VenvSettings one = parse_pyvenv_cfg(line);
      const std::string key = one.empty() ? "" : one.begin()->first;
      if (kOfThisMachine.contains(key)) continue;
      result += (key == "home" ? "home = " + home : line) + "\n";
    }
    return result;
  }

  const InputRequest& request_;
  const std::string& folder_;
  const std::function<void()>& check_;
  std::string settings_text_, version_, lib_;
  VenvSettings settings_;
  bool has_base_ = false;  // an earlier pack put its interpreter into the tree
  BasePython base_;        // unless it has
};

}  // namespace

std::vector<Collection> collect_venv(const InputRequest& request, const std::string& folder,
                                     const std::function<void()>& check) {
  VenvCollector collector(request, folder, check);
  std::vector<Collection> parts;
  parts.push_back(collector.run());
  if (std::optional<Collection> base = collector.base()) parts.push_back(std::move(*base));
  return parts;
}

}  // namespace holdall::packer
