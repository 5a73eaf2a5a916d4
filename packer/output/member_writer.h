// Where the members of a pack go: an archive of any format.
#pragma once

#include "bundle/toc.h"
#include "bundle/writer.h"

namespace holdall::packer {

// The contract of bundle::Writer. In the summary of another format there are no frames, and toc_digest is that of
// holdall/toc.json.
class MemberWriter {
 public:
  virtual ~MemberWriter() = default;
  virtual void add(bundle::Entry entry, bundle::ByteSource source) = 0;
  virtual bundle::WriteSummary finish() = 0;
  virtual const bundle::Toc& toc() const = 0;  // after finish()
};

}  // namespace holdall::packer
