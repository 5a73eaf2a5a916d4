// A bundle's members in an archive of another format, which has no frames: bundle.json comes first and the table of
// contents, as holdall/toc.json, last.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bundle/bundle_info.h"
#include "bundle/toc_json.h"
#include "bundle/toc_rules.h"
#include "packer/output/container.h"
#include "packer/output/member_writer.h"

namespace holdall::packer {

class ForeignArchive final : public MemberWriter {
 public:
  // `root`: the folder in the archive that holds holdall/; empty: none.
  ForeignArchive(const bundle::BundleInfo& info, std::string root, std::unique_ptr<Container> container);

  void add(bundle::Entry entry, const bundle::ByteSource& source) override;
  void settle() override {}
  bundle::WriteSummary finish() override;
  const bundle::EntryStore& entries() const override { return entries_; }

 private:
  // Gives the digest of a file's bytes.
  bundle::Digest put(const bundle::Entry& entry, const bundle::ByteSource& source);
  std::string own_path(const char* name) const;

  const std::string root_;
  const std::unique_ptr<Container> container_;
  bundle::TreeRules tree_;
  bundle::EntryStore entries_;
  std::uint64_t json_bytes_ = 0;
  bundle::TocJson json_;  // for its size, which comes first
  bundle::WriteSummary summary_;
  std::vector<std::byte> buffer_;
};

}  // namespace holdall::packer
