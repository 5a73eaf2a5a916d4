// Writes a plan as an archive: streams every input once, with edits applied and the leak audit on what is written.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bundle/writer.h"
#include "packer/output/member_writer.h"
#include "packer/plan.h"
#include "packer/remembered.h"

namespace holdall::packer {

struct PackOptions {
  std::vector<std::string> allowed_leaks;            // fnmatch patterns on paths in the bundle
  std::function<void(std::uint64_t bytes)> on_read;  // after each piece of input; may throw to cancel
  // What need not be read again, and is noted for the next time; `base` is the writer's. For tar.zst.
  Remembered* remembered = nullptr;
  const bundle::BaseArchive* base = nullptr;
};

struct PackResult {
  bundle::WriteSummary summary;
  std::uint64_t leaks = 0;          // found and allowed
  std::string sbom;                 // the document, if the plan has one
  std::vector<std::string> edited;  // files that are not as their packages brought them
};

// Gives `writer` every member and finishes it. Throws Error{kCannotPack} that lists every leak that is not allowed, or
// every file whose digest is not the expected one (a wheel's RECORD says it, or the plan); Error{kInternal} for an
// input that has another size or time than when it was planned, or is gone. What was written is then no archive.
PackResult pack(const PackPlan& plan, const PackOptions& options, MemberWriter& writer);

}  // namespace holdall::packer
