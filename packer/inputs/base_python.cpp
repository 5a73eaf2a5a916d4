#include "packer/inputs/base_python.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <sstream>

#include "bundle/error.h"
#include "packer/closure.h"
#include "packer/elf_file.h"
#include "packer/inputs/tree_walk.h"
#include "packer/trimmed.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;

// Installations that share their prefix with the system: what files say of it means the host's.
bool is_system_prefix(const std::string& prefix) {
  return prefix == "/usr" || prefix == "/usr/local" || prefix == "/";
}

std::string real_path(const fs::path& path) {
  std::error_code error;
  const std::string real = fs::canonical(path, error).string();
  return error ? "" : real;
}

bool is_program(const std::string& path) {
  std::error_code ignored;
  return !path.empty() && fs::is_regular_file(path, ignored);
}

class BaseCollector {
 public:
  BaseCollector(const BasePython& base, const BasePythonRequest& request, const std::function<void()>& check)
      : base_(base), request_(request), check_(check) {}

  Collection run() {
    result_.roots.push_back({.kind = InputKind::kPrefix,
                             .folder = base_.prefix,
                             .to = request_.to,
                             .layer = "runtime",
                             .prefixes = {},
                             .self_locating = true});
    if (!is_system_prefix(base_.prefix)) result_.roots[0].prefixes.push_back(base_.prefix);
    add_stdlib();
    add_interpreter();
    add_libraries();
    for (const std::string& folder : folders_) add(folder).type = EntryType::kDirectory;
    std::ranges::sort(result_.members, {}, &Member::path);
    return std::move(result_);
  }

 private:
  Member& add(const std::string& path) {
    Member& member = result_.members.emplace_back();
    member.path = path;
    return member;
  }

  Member& add_file(const std::string& path, const std::string& source) {
    for (fs::path folder = fs::path(path).parent_path(); !folder.empty(); folder = folder.parent_path()) {
      folders_.insert(folder.string());
    }
    const InputFile file(source);
    Member& member = add(path);
    member.size = file.size();
    member.mtime_ns = file.mtime_ns();
    member.executable = path.starts_with("bin/");
    if (source != base_.prefix + "/" + path) {
      member.substitute = static_cast<std::uint32_t>(result_.substitutes.size());
      result_.substitutes.push_back({.source = source, .contents = {}});
    }
    return member;
  }

  // The libraries that modules are linked with at build time serve nobody who runs Python.
  void add_stdlib() {
    const std::string folder = base_.prefix + "/" + base_.stdlib;
    TreeWalk walk = walk_tree(
        folder, {.given = folder,
                 .outside_link = [](const auto&, const auto&) { return OutsideLink::kCopy; },
                 .leaves_out = [](std::string_view name) { return name == "site-packages" || name == "dist-packages"; },
                 .check = check_});
    for (fs::path above = base_.stdlib; !above.empty(); above = above.parent_path()) folders_.insert(above.string());
    for (Member& member : walk.members) {
      if (member.path.ends_with(".a") || member.path.ends_with(".o")) continue;
      member.path = base_.stdlib + "/" + member.path;
      if (member.path.ends_with(".so")) modules_.push_back(base_.prefix + "/" + member.path);
      result_.members.push_back(std::move(member));
    }
    result_.warnings = std::move(walk.warnings);
  }

  void add_interpreter() {
    add_file("bin/" + base_.name, base_.executable).role = MemberRole::kInterpreter;
    for (const char* const alias : {"bin/python3", "bin/python"}) {
      if (alias == "bin/" + base_.name) continue;
      Member& link = add(alias);
      link.type = EntryType::kSymlink;
      link.link_target = base_.name;
    }
  }

  void add_libraries() {
    std::vector<std::string> own;  // an installation's own libraries come first, as its RPATH would have it
    if (!is_system_prefix(base_.prefix)) own.push_back(base_.prefix + "/lib");
    std::map<std::string, PackedLibrary> found;
    for (const std::string& module : modules_) {
      if (check_) check_();
      try {
        const Closure closure = compute_closure({base_.executable, module}, {},
                                                {.library_paths = own, .system_folders = request_.library_folders});
        for (const PackedLibrary& library : closure.libraries) {
          auto& known = found.emplace(library.name, library).first->second;
          known.aliases.insert(known.aliases.end(), library.aliases.begin(), library.aliases.end());
        }
      } catch (const bundle::Error& error) {
        result_.warnings.push_back("module '" + module +
                                   "' does not load here, and will not where it is unpacked: " + error.what());
      }
    }
    std::set<std::string> names;
    for (const auto& [name, library] : found) {
      if (names.insert(name).second) add_file("lib/" + name, library.real_path);
      for (const std::string& alias : library.aliases) {
        if (found.contains(alias) || !names.insert(alias).second) continue;
        Member& link = add("lib/" + alias);
        link.type = EntryType::kSymlink;
        link.link_target = name;
      }
    }
  }

  const BasePython& base_;
  const BasePythonRequest& request_;
  const std::function<void()>& check_;
  Collection result_;
  std::set<std::string> folders_;
  std::vector<std::string> modules_;
};

}  // namespace

VenvSettings parse_pyvenv_cfg(const std::string& text) {
  VenvSettings settings;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (equals == line.npos) continue;
    std::string key(trimmed(std::string_view(line).substr(0, equals)));
    std::ranges::transform(key, key.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    settings.emplace(key, trimmed(std::string_view(line).substr(equals + 1)));
  }
  return settings;
}

BasePython find_base_python(const std::string& venv, const VenvSettings& settings, const std::string& version) {
  const auto setting = [&](const char* key) {
    const auto found = settings.find(key);
    return found == settings.end() ? std::string() : found->second;
  };
  BasePython base{.prefix = {}, .executable = {}, .name = "python" + version, .stdlib = {}};
  const std::string home = setting("home");
  for (const std::string& candidate :
       {home + "/" + base.name, setting("executable"), setting("base-executable"), venv + "/bin/" + base.name,
        venv + "/bin/python3", venv + "/bin/python", home + "/python3", home + "/python"}) {
    const std::string real = real_path(candidate);
    if (!is_program(real) || (real + "/").starts_with(venv + "/")) continue;
    base.executable = real;
    break;
  }
  std::vector<fs::path> starts{setting("base-prefix"), fs::path(base.executable).parent_path(), real_path(home)};
  for (const fs::path& start : starts) {
    for (fs::path at = start; base.prefix.empty() && at.has_relative_path(); at = at.parent_path()) {
      for (const char* const lib : {"lib", "lib64"}) {
        const std::string stdlib = std::string(lib) + "/" + base.name;
        if (base.prefix.empty() && is_program((at / stdlib / "os.py").string())) {
          base.prefix = real_path(at);
          base.stdlib = stdlib;
        }
      }
    }
  }
  if (base.executable.empty() || base.prefix.empty()) {
    throw bundle::Error(bundle::ErrorKind::kCannotPack,
                        "cannot pack '" + venv + "': " +
                            (base.executable.empty() ? "its interpreter" : "its interpreter's standard library") +
                            " is not there (pyvenv.cfg says home = " + home +
                            "): make the venv again, or pass --python-prefix to use the target's Python");
  }
  return base;
}

Collection collect_base_python(const BasePython& base, const BasePythonRequest& request,
                               const std::function<void()>& check) {
  return BaseCollector(base, request, check).run();
}

}  // namespace holdall::packer
