// Where a test packs to.
#pragma once

#include <string>
#include <utility>

#include "bundle/writer.h"
#include "packer/output/member_writer.h"
#include "packer/plan.h"

namespace holdall::packer {

class BundleInMemory : public MemberWriter {
 public:
  explicit BundleInMemory(const PackPlan& plan, unsigned threads = 2)
      : writer_(plan.info, {.threads = threads}, [this](std::span<const std::byte> bytes) {
          archive.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        }) {}
  void add(bundle::Entry entry, const bundle::ByteSource& source) override { writer_.add(std::move(entry), source); }
  void settle() override { writer_.settle(); }
  bundle::WriteSummary finish() override { return writer_.finish(); }
  const bundle::EntryStore& entries() const override { return writer_.entries(); }

  std::string archive;

 private:
  bundle::Writer writer_;
};

}  // namespace holdall::packer
