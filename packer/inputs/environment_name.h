// Finds a conda environment by its name, as conda does, without running conda: by its variables, its configuration
// files and the list that it keeps in ~/.conda/environments.txt.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace holdall::packer {

// What conda would look at; injected, so that tests do not depend on where they run.
struct CondaSurroundings {
  std::string home;
  std::function<std::optional<std::string>(const std::string& name)> variable;  // of the environment
  std::vector<std::string> installations;         // folders where conda may be installed, beside those in the home
  std::vector<std::string> system_configuration;  // files and folders of files, the weakest first
};
CondaSurroundings this_machines_conda();

// The folder of environment `name`; "base" and "root" are the installation itself. Throws Error{kNotFound} that says
// where it was searched, Error{kUsage} if only environments.txt has it, and twice.
std::string find_environment(const std::string& name, const CondaSurroundings& surroundings);

// What is packed when nothing is named: the active environment (CONDA_PREFIX, else VIRTUAL_ENV), else the installation.
// Throws Error{kUsage} if there is none.
std::string active_environment(const CondaSurroundings& surroundings);

}  // namespace holdall::packer
