// Where the members of a pack go: an archive of any format.
#pragma once

#include "bundle/entry_store.h"
#include "bundle/writer.h"

namespace holdall::packer {

// The contract of bundle::Writer. In the summary of another format there are no frames, and toc_digest is that of
// holdall/toc.json.
class MemberWriter {
 public:
  virtual ~MemberWriter() = default;
  virtual void add(bundle::Entry entry, const bundle::ByteSource& source) = 0;
  virtual bundle::WriteSummary finish() = 0;
  // Waits until what was added is written.
  virtual void settle() = 0;
  // After finish() or settle(): what became of the members, in the order given; the first is bundle.json.
  virtual const bundle::EntryStore& entries() const = 0;

  // The writer itself, where the format has frames; else nullptr.
  virtual bundle::Writer* frames() { return nullptr; }
};

}  // namespace holdall::packer
