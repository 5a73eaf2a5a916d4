// The scripts that put an environment into a shell's PATH, and take it out again: bin/activate (bash, zsh, ksh, sh),
// activate.fish, activate.csh, Activate.ps1, and what they need. Their text is packer/activate/.
#pragma once

#include <string>
#include <vector>

namespace holdall::packer {

struct ActivateScript {
  std::string path;  // "bin/activate"
  std::string contents;
};

// `variable`: what tells programs of the environment, CONDA_PREFIX or VIRTUAL_ENV. `prefix`: how files name the
// environment's folder; it stands in those whose shell does not say where a sourced file lies.
std::vector<ActivateScript> activate_scripts(const std::string& variable, const std::string& prefix);

}  // namespace holdall::packer
