// Collects inputs of any kind: conda environments, venvs, plain prefixes; one or several in one bundle.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "packer/inputs/collection.h"
#include "packer/inputs/filters.h"
#include "packer/inputs/tree_walk.h"

namespace holdall::packer {

enum class Tolerance { kRefuse, kAccept };

// The interpreter of a venv, which is the base installation's.
enum class PythonSource {
  kPacked,  // with its standard library: the target needs no Python
  kHost,    // the one below python_prefix on the target
};

struct InputRequest {
  std::string folder;  // absolute; may be spelled through links
  std::string to;      // in the bundle; empty: its root
  std::string layer = "environment";
  std::vector<Filter> filters = {};
  Tolerance missing_files = Tolerance::kRefuse;      // that a conda package brought
  Tolerance editable_packages = Tolerance::kRefuse;  // whose code lies outside
  Tolerance outside_links = Tolerance::kRefuse;      // accepted: packed as what they lead to
  PythonSource python = PythonSource::kPacked;
  std::string python_prefix = {};  // for kHost
};

// conda-meta/ makes a conda environment, pyvenv.cfg a venv. Throws Error{kNotFound} if `folder` is no folder.
InputKind kind_of_input(const std::string& folder);

// Collects them in their order and applies each one's filters. Throws Error{kNotFound, kStorage}, and
// Error{kCannotPack} that lists what is wrong with an input: missing files, editable packages, links that lead out, two
// inputs that put something in one place. `check` is called now and then and may throw to cancel.
Collection collect(const std::vector<InputRequest>& inputs, const std::function<void()>& check = {});

// One input, not filtered yet. `folder` has its links resolved.
Collection collect_tree(const InputRequest& request, const std::string& folder, InputKind kind, WalkOptions options);
Collection collect_conda(const InputRequest& request, const std::string& folder, const std::function<void()>& check);
// A venv, and its base installation if that is packed.
std::vector<Collection> collect_venv(const InputRequest& request, const std::string& folder,
                                     const std::function<void()>& check);

}  // namespace holdall::packer
