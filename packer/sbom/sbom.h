// The software bill of materials of a bundle: a member of every archive, holdall/sbom.cdx.json.
#pragma once

#include <functional>
#include <string>

#include "bundle/entry_store.h"
#include "packer/library_origin.h"
#include "packer/plan.h"

namespace holdall::packer {

inline constexpr const char* kSbomPath = "holdall/sbom.cdx.json";

struct SbomOptions {
  std::string name, version;         // of the bundle
  std::string system_root = {};      // as in BuildMachine
  unsigned threads = 0;              // 0: all processors
  std::function<void()> check = {};  // called from all threads; may throw to cancel
};

// Adds it to the members, which must be all but it, holdall/ and folders. Digests that packing will tell are zeros in
// it until then. What is in it:
//  - Debian packages and wheels that `origins` has found, conda packages by their conda-meta, Python packages by their
//    METADATA or PKG-INFO, an embedded model;
//  - programs and libraries of none of these: by the package that their ELF note names, else each as a file with its
//    digest as packed, and whom it needs.
// Throws as InputFile does, Error{kCannotPack} for a conda record that is broken.
void add_sbom(PackPlan& plan, const LibraryOrigins& origins, const SbomOptions& options);

// The document once it is known what was packed: bundle.json, then `plan`'s members, the last of which is the SBOM and
// need not be there yet.
std::string completed_sbom(const PackPlan& plan, const bundle::EntryStore& written);

}  // namespace holdall::packer
