// How packing uses what is remembered, and adds to it.
#pragma once

#include <cstddef>
#include <vector>

#include "bundle/base_archive.h"
#include "bundle/writer.h"
#include "packer/leak_audit.h"
#include "packer/pack.h"
#include "packer/plan.h"
#include "packer/remembered.h"

namespace holdall::packer {

class RememberPack {
 public:
  // Does nothing if nothing is to be remembered, or there are no `frames`. Who has no leak of `patterns` may have one
  // of others: then nothing is known.
  RememberPack(const PackOptions& options, const PackPlan& plan, const LeakPatterns& patterns, bundle::Writer* frames);

  // Adds member `index` of the plan to the archive unread, and returns true, if all is known that this needs: its file
  // has not changed, the same is done to it as then, and the base names its frames.
  bool add_unchanged(std::size_t index, const PlannedMember& member);

  // Member `index` of the plan was packed from a file with that identity, and had no leak.
  void packed(std::size_t index, const PlannedMember& member, const std::optional<FileIdentity>& identity);

  // Once the archive is complete: notes all that was packed.
  void note(const std::vector<PlannedMember>& members) const;

 private:
  struct Packed {
    std::size_t index;
    FileIdentity identity;
  };
  const RememberedFile* unchanged(const PlannedMember& member) const;

  Remembered* remembered_;  // or nullptr
  const bundle::BaseArchive* base_;
  bundle::Writer* frames_;
  std::vector<Packed> packed_;
};

}  // namespace holdall::packer
