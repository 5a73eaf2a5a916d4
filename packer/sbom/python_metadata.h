// A Python package's METADATA or PKG-INFO: headers as in mail (packaging.python.org, "Core metadata").
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace holdall::packer {

struct PythonMetadata {
  std::string name, version;
  std::string licence_expression;  // SPDX's; empty: not given
  std::set<std::string> licences;  // without an expression: names, as classifiers or License has them
  std::set<std::string> needs;     // normalized names of Requires-Dist, without those of extras
};

// Takes what it understands; never throws.
PythonMetadata parse_python_metadata(std::string_view text);

// PEP 503: "Foo__bar.Baz" → "foo-bar-baz".
std::string normalized_name(std::string_view name);

}  // namespace holdall::packer
