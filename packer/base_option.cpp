#include "packer/base_option.h"

#include "bundle/error.h"
#include "packer/progress.h"

namespace holdall::packer {

using bundle::Error;

std::shared_ptr<const bundle::BaseArchive> open_base(const std::string& path, int level, const Say& say) {
  std::shared_ptr<const bundle::BaseArchive> base;
  try {
    base = std::make_shared<const bundle::BaseArchive>(bundle::open_file(path));
  } catch (const Error& error) {
    if (error.kind() != bundle::ErrorKind::kBadBundle) throw;
    throw Error(error.kind(), "cannot use '" + path + "' as a base: " + error.what() + ": pack without --base");
  }
  const std::string encoding = bundle::frame_encoding(level);
  if (base->encoding() == encoding) return base;
  const std::string found = base->encoding().empty() ? "it does not say by what" : "zstd " + base->encoding();
  say("warning: nothing is copied from '" + path + "': it was compressed otherwise (" + found + "; now: zstd " +
      encoding + ")");
  return nullptr;
}

void report_base(const std::string& path, const bundle::CopySummary& copied, std::uint64_t bytes, const Say& say) {
  if (copied.broken != 0) {
    say("warning: '" + path + "' is damaged: " + std::to_string(copied.broken) +
        (copied.broken == 1 ? " chunk that it should hold was" : " chunks that it should hold were") +
        " compressed again");
  }
  say(human_bytes(copied.bytes) + " of " + human_bytes(bytes) + " copied from '" + path + "'");
}

}  // namespace holdall::packer
