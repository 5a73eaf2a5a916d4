// The plan of a bundle: every member in archive order with where its bytes come from, and what bundle.json says.
// Inputs become plans by collectors (here: plan_service for a manifest); pack() in packer/pack.h writes any plan.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/toc.h"
#include "packer/leak_audit.h"
#include "packer/manifest.h"

namespace holdall::packer {

struct PlannedMember {
  bundle::Entry entry;  // all that bundle::Writer wants
  std::string source;   // the input file of a regular member; empty: `contents` are its bytes
  std::string contents;
  std::optional<std::int64_t> mtime_ns;    // of `source`, when it was found: a file with another has changed since
  std::optional<bundle::Digest> expected;  // of a vendor's file: what its wheel's RECORD says
};

struct PackPlan {
  bundle::BundleInfo info;
  std::vector<PlannedMember> members;  // folders first: the writer's order
  std::vector<LeakSource> leak_sources;
  std::vector<std::string> warnings;
  std::vector<std::string> explanations;  // one line a library: what it is, where from, who needs it
};

// What the machine itself could leak; injected, so that tests do not depend on where they run.
struct BuildMachine {
  std::string home, host_name;
  std::vector<std::string> system_folders;  // of libraries
};
BuildMachine this_machine();

// Collects a manifest's inputs. Nothing is written; file contents are read where they decide something (ELF headers,
// text that names the prefix, RECORDs, digests of the model and of what is edited). `check` is called while that goes
// on and may throw to cancel. Throws Error{kCannotPack, kNotFound, kStorage}.
PackPlan plan_service(const Manifest& manifest, const BuildMachine& machine, const std::function<void()>& check = {});

}  // namespace holdall::packer
