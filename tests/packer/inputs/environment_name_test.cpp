#include "packer/inputs/environment_name.h"

#include <map>

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::ErrorKind;

class Machine {
 public:
  std::string environment(const std::string& path) {
    folder.write(path + "/conda-meta/history", "");
    return folder.path(path);
  }

  CondaSurroundings surroundings() const {
    return {.home = folder.path("home"),
            .variable = [this](const std::string& name) -> std::optional<std::string> {
              const auto found = variables.find(name);
              return found == variables.end() ? std::nullopt : std::optional(found->second);
            },
            .installations = {},
            .system_configuration = {folder.path("etc/condarc"), folder.path("etc/condarc.d")}};
  }

  std::string find(const std::string& name) const { return find_environment(name, surroundings()); }

  TemporaryFolder folder;
  std::map<std::string, std::string> variables;
};

TEST(EnvironmentName, FindsTheInstallationInTheHome) {
  Machine machine;
  const std::string root = machine.environment("home/miniconda3");
  const std::string env = machine.environment("home/miniconda3/envs/one");
  EXPECT_EQ(machine.find("base"), root);
  EXPECT_EQ(machine.find("root"), root);
  EXPECT_EQ(machine.find("one"), env);
}

TEST(EnvironmentName, FindsTheInstallationByVariables) {
  for (const auto& [name, value] : std::map<std::string, std::string>{{"CONDA_EXE", "inst/bin/conda"},
                                                                      {"CONDA_ROOT", "inst"},
                                                                      {"CONDA_PREFIX", "inst/envs/other"},
                                                                      {"MAMBA_ROOT_PREFIX", "inst"}}) {
    Machine machine;
    machine.environment("inst");
    machine.environment("inst/envs/other");
    const std::string env = machine.environment("inst/envs/one");
    machine.variables[name] = machine.folder.path(value);
    EXPECT_EQ(machine.find("one"), env) << name;
  }
}

TEST(EnvironmentName, SearchesVariablesThenTheStrongestConfiguration) {
  Machine machine;
  const std::string in_variable = machine.environment("a/one"), in_home = machine.environment("home/b/one"),
                    in_system = machine.environment("c/one"), in_user = machine.environment("home/.conda/envs/one");
  machine.variables = {{"CONDA_ENVS_DIRS", machine.folder.path("none") + ":" + machine.folder.path("a")},
                       {"C", machine.folder.path("c")}};
  machine.folder.write("home/.condarc", "channels: [x]\nenvs_dirs:\n  - ~/b\n");
  machine.folder.write("etc/condarc.d/site.yml", "envs_dirs: ['${C}', $UNKNOWN/x]\n");
  EXPECT_EQ(machine.find("one"), in_variable);
  machine.variables.erase("CONDA_ENVS_DIRS");
  EXPECT_EQ(machine.find("one"), in_home);
  std::filesystem::remove(machine.folder.path("home/.condarc"));
  EXPECT_EQ(machine.find("one"), in_system);
  std::filesystem::remove_all(machine.folder.path("etc"));
  EXPECT_EQ(machine.find("one"), in_user);
}

TEST(EnvironmentName, KnowsWhatCondaHasListed) {
  Machine machine;
  const std::string listed = machine.environment("data/one");
  machine.folder.write("home/.conda/environments.txt",
                       "# comment\n" + machine.folder.path("gone/one") + "\n" + listed + "/\n" + listed + "\n");
  EXPECT_EQ(machine.find("one"), listed);
  machine.folder.write("home/.conda/environments.txt", listed + "\n" + machine.environment("more/one") + "\n");
  const auto refused = thrown_by([&] { machine.find("one"); });
  EXPECT_TRUE(refused.kind == ErrorKind::kUsage && refused.says("data/one") && refused.says("more/one"));
}

TEST(EnvironmentName, SaysWhereItSearched) {
  Machine machine;
  machine.environment("home/miniforge3");
  const auto refused = thrown_by([&] { machine.find("one"); });
  EXPECT_EQ(refused.kind, ErrorKind::kNotFound);
  EXPECT_TRUE(refused.says("miniforge3/envs") && refused.says("environments.txt")) << refused.message;
  EXPECT_EQ(thrown_by([&] { machine.find("a/b"); }).kind, ErrorKind::kUsage);
  machine.folder.write("home/.condarc", "envs_dirs: [unclosed\n");
  EXPECT_TRUE(thrown_by([&] { machine.find("one"); }).says(".condarc"));
}

TEST(EnvironmentName, TakesTheActiveEnvironment) {
  Machine machine;
  const auto active = [&] { return active_environment(machine.surroundings()); };
  EXPECT_EQ(thrown_by([&] { active(); }).kind, ErrorKind::kUsage);
  const std::string root = machine.environment("home/anaconda3");
  EXPECT_EQ(active(), root);
  machine.variables["VIRTUAL_ENV"] = "/v";
  EXPECT_EQ(active(), "/v");
  machine.variables["CONDA_PREFIX"] = "/c";
  EXPECT_EQ(active(), "/c");
}

}  // namespace
}  // namespace holdall::packer
