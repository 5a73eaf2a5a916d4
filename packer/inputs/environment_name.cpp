#include "packer/inputs/environment_name.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "bundle/error.h"
#include "packer/input_file.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::Error;
using bundle::ErrorKind;

constexpr std::uint64_t kMaxConfiguration = 4 << 20;

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// conda's own mark of an environment.
bool is_environment(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path + "/conda-meta", ignored);
}

class Finder {
 public:
  explicit Finder(const CondaSurroundings& surroundings) : surroundings_(surroundings) {
    find_root();
    find_folders();
  }

  const std::string& root() const { return root_; }

  std::string find(const std::string& name) const {
    if (name == "base" || name == "root") {
      if (!root_.empty()) return root_;
      throw Error(ErrorKind::kNotFound, "cannot find conda's base environment: set CONDA_ROOT, or pass -p PREFIX");
    }
    if (name.empty() || name.find('/') != name.npos) {
      throw Error(ErrorKind::kUsage, "'" + name + "' is no name of an environment: pass a folder with -p");
    }
    for (const std::string& folder : folders_) {
      if (is_folder(folder + "/" + name)) return folder + "/" + name;
    }
    std::set<std::string> known;
    const std::string list = surroundings_.home + "/.conda/environments.txt";
    for (const std::string& line : lines_of(list)) {
      const fs::path prefix =
          fs::path(line + "/").lexically_normal().parent_path();  // with one slash at its end or none
      if (prefix.filename() == name && is_environment(prefix)) known.insert(prefix);
    }
    if (known.size() == 1) return *known.begin();
    std::string searched = list;
    for (const std::string& folder : folders_) searched += ", " + folder;
    if (known.empty()) {
      throw Error(ErrorKind::kNotFound, "cannot find an environment called '" + name + "': searched " + searched +
                                            ": pass its folder with -p");
    }
    std::string found;
    for (const std::string& prefix : known) found += " " + prefix;
    throw Error(ErrorKind::kUsage,
                "'" + name + "' is the name of several environments:" + found + ": pass one with -p");
  }

 private:
  std::string variable(const std::string& name) const { return surroundings_.variable(name).value_or(""); }

  // ~ and $VARIABLE, as conda expands them in its configuration. An unknown variable stays as it is.
  std::string expanded(const std::string& text) const {
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
      if (at == 0 && text[0] == '~' && (text.size() == 1 || text[1] == '/')) {
        result += surroundings_.home;
        ++at;
        continue;
      }
      if (text[at] == '$' && at + 1 < text.size()) {
        const bool braces = text[at + 1] == '{';
        const std::size_t start = at + (braces ? 2 : 1);
        std::size_t end = start;
        while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
          ++end;
        const bool closed = !braces || (end < text.size() && text[end] == '}');
        const auto value = surroundings_.variable(text.substr(start, end - start));
        if (end > start && closed && value) {
          result += *value;
          at = end + (braces ? 1 : 0);
          continue;
        }
      }
      result += text[at++];
    }
    return result;
  }

  static std::vector<std::string> lines_of(const std::string& path) {
    std::error_code ignored;
    std::vector<std::string> result;
    if (!fs::is_regular_file(path, ignored)) return result;
    std::istringstream lines(read_whole(path, kMaxConfiguration));
    for (std::string line; std::getline(lines, line);) {
      line.erase(line.find_last_not_of(" \t\r") + 1);
      line.erase(0, line.find_first_not_of(" \t"));
      if (!line.empty() && !line.starts_with('#')) result.push_back(line);
    }
    return result;
  }

  void find_root() {
    std::vector<std::string> candidates{variable("CONDA_ROOT"), variable("CONDA_ROOT_PREFIX"),
                                        variable("MAMBA_ROOT_PREFIX")};
    for (const char* const program : {"CONDA_EXE", "CONDA_PYTHON_EXE", "MAMBA_EXE"}) {  // <root>/bin/conda
      if (!variable(program).empty()) {
        candidates.push_back(fs::path(variable(program)).parent_path().parent_path().string());
      }
    }
    // An environment in <root>/envs, or the root itself.
    for (const char* const name : {"CONDA_PREFIX", "CONDA_PREFIX_1"}) {
      const fs::path active = variable(name);
      if (active.parent_path().filename() == "envs") candidates.push_back(active.parent_path().parent_path().string());
      candidates.push_back(active.string());
    }
    std::istringstream folders(variable("PATH"));
    for (std::string folder; std::getline(folders, folder, ':');) {
      std::error_code error;
      const fs::path conda = fs::canonical(folder + "/conda", error);
      if (!error) candidates.push_back(conda.parent_path().parent_path().string());
    }
    for (const char* const name :
         {"miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", "miniconda", "anaconda", ".conda"}) {
      candidates.push_back(surroundings_.home + "/" + name);
    }
    candidates.insert(candidates.end(), surroundings_.installations.begin(), surroundings_.installations.end());
    for (const std::string& candidate : candidates) {
      // micromamba's root has environments without being one.
      if (!candidate.empty() && (is_environment(candidate) || candidate == variable("MAMBA_ROOT_PREFIX"))) {
        root_ = candidate;
        return;
      }
    }
  }

  // The order in which conda searches: variables, configuration (the strongest file first), the fixed folders.
  void find_folders() {
    for (const char* const name : {"CONDA_ENVS_DIRS", "CONDA_ENVS_PATH"}) {
      std::istringstream folders(variable(name));
      for (std::string folder; std::getline(folders, folder, ':');) add_folder(expanded(folder));
    }
    auto files = configuration_files();
    std::ranges::reverse(files);
    for (const std::string& file : files) read_configuration(file);
    if (!root_.empty()) add_folder(root_ + "/envs");
    add_folder(surroundings_.home + "/.conda/envs");
  }

  void add_folder(const std::string& folder) {
    if (!folder.empty() && std::ranges::find(folders_, folder) == folders_.end()) folders_.push_back(folder);
  }

  // Those that are there, the weakest first.
  std::vector<std::string> configuration_files() const {
    std::vector<std::string> places = surroundings_.system_configuration;
    const auto add = [&](const std::string& folder) {
      for (const char* const name : {"/.condarc", "/condarc", "/condarc.d"}) places.push_back(folder + name);
    };
    if (!root_.empty()) add(root_);
    if (const std::string config = variable("XDG_CONFIG_HOME"); !config.empty()) add(config + "/conda");
    add(surroundings_.home + "/.config/conda");
    add(surroundings_.home + "/.conda");
    places.push_back(surroundings_.home + "/.condarc");
    if (const std::string prefix = variable("CONDA_PREFIX"); !prefix.empty()) add(prefix);
    if (const std::string file = variable("CONDARC"); !file.empty()) places.push_back(expanded(file));
    std::vector<std::string> files;
    for (const std::string& place : places) {
      std::error_code error;
      if (fs::is_regular_file(place, error)) {
        files.push_back(place);
        continue;
      }
      std::vector<std::string> inside;
      for (fs::directory_iterator at(place, error), end; !error && at != end; at.increment(error)) {
        const std::string extension = at->path().extension().string();
        if (extension == ".yml" || extension == ".yaml") inside.push_back(at->path().string());
      }
      std::ranges::sort(inside);
      files.insert(files.end(), inside.begin(), inside.end());
    }
    return files;
  }

  void read_configuration(const std::string& file) {
    try {
      const YAML::Node document = YAML::Load(read_whole(file, kMaxConfiguration));
      if (!document.IsMap()) return;
      for (const char* const key : {"envs_dirs", "envs_path"}) {
        const YAML::Node folders = document[key];
        if (!folders || !folders.IsSequence()) continue;
        for (const YAML::Node& folder : folders) {
          if (folder.IsScalar()) add_folder(expanded(folder.as<std::string>()));
        }
      }
    } catch (const YAML::Exception& error) {
      throw Error(ErrorKind::kUsage, "cannot use '" + file + "': " + error.what() + ": repair it, or pass -p PREFIX");
    }
  }

  const CondaSurroundings& surroundings_;
  std::string root_;
  std::vector<std::string> folders_;
};

}  // namespace

CondaSurroundings this_machines_conda() {
  CondaSurroundings result;
  result.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* const value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  result.home = result.variable("HOME").value_or("");
  result.installations = {"/opt/conda", "/opt/miniconda3", "/opt/anaconda3", "/opt/miniforge3"};
  for (const char* const folder : {"/etc/conda", "/var/lib/conda"}) {
    for (const char* const name : {"/.condarc", "/condarc", "/condarc.d"}) {
      result.system_configuration.push_back(std::string(folder) + name);
    }
  }
  return result;
}

std::string find_environment(const std::string& name, const CondaSurroundings& surroundings) {
  return Finder(surroundings).find(name);
}

std::string active_environment(const CondaSurroundings& surroundings) {
  for (const char* const name : {"CONDA_PREFIX", "VIRTUAL_ENV"}) {
    const auto value = surroundings.variable(name);
    if (value && !value->empty()) return *value;
  }
  if (const Finder finder(surroundings); !finder.root().empty()) return finder.root();
  throw Error(ErrorKind::kUsage,
              "nothing to pack: no environment is active: give -n NAME, -p PREFIX or -m MANIFEST (--help shows all)");
}

}  // namespace holdall::packer
