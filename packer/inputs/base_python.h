// The Python installation that a venv was made from: its interpreter, standard library and the libraries these need.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "packer/inputs/collection.h"

namespace holdall::packer {

// The folder beside the venv's own bin/ and lib/ that holds the packed installation.
inline constexpr const char* kBasePythonFolder = "python-base";

// pyvenv.cfg, keys in lower case (PEP 405).
using VenvSettings = std::map<std::string, std::string>;
VenvSettings parse_pyvenv_cfg(const std::string& text);

struct BasePython {
  std::string prefix;      // "/usr"
  std::string executable;  // links resolved: "/usr/bin/python3.11"
  std::string name;        // "python3.11"
  std::string stdlib;      // relative to prefix: "lib/python3.11"
};

// `version` as in the venv's lib/python<version>: "3.11", "3.13t". Throws Error{kCannotPack} if the installation is
// gone.
BasePython find_base_python(const std::string& venv, const VenvSettings& settings, const std::string& version);

struct BasePythonRequest {
  std::string to;                            // in the bundle, with kBasePythonFolder
  std::vector<std::string> library_folders;  // where the system's libraries lie
};

// Its site-packages stay behind. A module that misses a library on this machine is a warning.
Collection collect_base_python(const BasePython& base, const BasePythonRequest& request,
                               const std::function<void()>& check);

}  // namespace holdall::packer
