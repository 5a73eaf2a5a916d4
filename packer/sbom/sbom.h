// The software bill of materials of a bundle: a member of every archive, holdall/sbom.cdx.json.
#pragma once

#include <functional>
#include <string>

#include "packer/library_origin.h"
#include "packer/plan.h"

namespace holdall::packer {

inline constexpr const char* kSbomPath = "holdall/sbom.cdx.json";

struct SbomOptions {
  std::string name, version;               // of the bundle
  std::string system_root = {};            // as in BuildMachine
  unsigned threads = 0;                    // 0: all processors
  std::function<void()> check = {};        // called from all threads; may throw to cancel
  const Remembered* remembered = nullptr;  // files whose digest is known; or nothing
};

// Adds it to the members, which must be all but it, holdall/ and folders. What is in it:
//  - Debian packages and wheels that `origins` has found, conda packages by their conda-meta, Python packages by their
//    METADATA or PKG-INFO, an embedded model;
//  - programs and libraries of none of these: by the package that their ELF note names, else each as a file with its
//    digest, and whom it needs. So these are read once more, unless they
//    are remembered, and must not change until they are packed.
// Throws as InputFile does, Error{kCannotPack} for a conda record that is broken.
void add_sbom(PackPlan& plan, const LibraryOrigins& origins, const SbomOptions& options);

// The document, for --sbom. `plan` has one.
const std::string& sbom_of(const PackPlan& plan);

}  // namespace holdall::packer
