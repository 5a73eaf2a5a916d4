// The Python packages in an environment's site-packages: which files are whose, and which lie elsewhere. The collection
// has one root, and members sorted by path.
#pragma once

#include <string>
#include <vector>

#include "packer/inputs/collect.h"
#include "packer/inputs/collection.h"

namespace holdall::packer {

// The index of `path` among members that are sorted by path, or Member::kNone.
std::uint32_t find_member(const std::vector<Member>& members, std::string_view path);

// "a/__pycache__/b.cpython-311.opt-1.pyc" -> "a/b.py" (PEP 3147, PEP 488). Empty for anything else: Python prefers a
// source to the .pyc right beside it, whatever that says.
std::string source_of_pyc(std::string_view path);

// Names of packages in `site` (relative to the root's folder) whose code lies outside it: installed as editable, or
// named by a .pth or .egg-link file. A direct_url.json that is no JSON says nothing.
std::vector<std::string> editable_packages(const Collection& collection, const std::string& site);

// Throws Error{kCannotPack} that names them, or adds a warning if they are accepted.
void settle_editable_packages(const InputRequest& request, const std::string& site, Collection& collection);

// Says of each member that no package owns yet which wheel it belongs to, by *.dist-info/RECORD in `site`. A RECORD
// that cannot be used is a warning.
void assign_wheels(Collection& collection, const std::string& site);

}  // namespace holdall::packer
