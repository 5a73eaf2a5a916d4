// What a bundle is made of, as a software bill of materials lists it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bundle/digest.h"

namespace holdall::packer {

// A program or library of a component.
struct SbomFile {
  std::string path;                           // in the bundle
  std::optional<bundle::Digest> digest = {};  // as packed
  std::string build_id = {};                  // hex digits; empty: it has none
};

// Fields without a value are left out of the document.
struct SbomComponent {
  std::string type =
      "library";    // CycloneDX's word: library, file, application, machine-learning-model, operating-system
  std::string ref;  // unique in the document
  std::string name;
  std::string version = {};
  std::string purl = {};
  std::string licence_expression = {};             // SPDX's; excludes `licences`
  std::set<std::string> licences = {};             // names
  std::map<std::string, std::string> hashes = {};  // CycloneDX's algorithm → hex digits; of what was distributed
  std::map<std::string, std::string> properties = {};
  std::string evidence = {};  // the file in the bundle that says so
  std::vector<SbomFile> files = {};
  std::set<std::string> depends_on = {};  // refs
};

}  // namespace holdall::packer
