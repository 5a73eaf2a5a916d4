// What a pack becomes, of any format: a file, or a folder, that appears whole or not at all.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "bundle/bundle_info.h"
#include "packer/output/format.h"
#include "packer/output/member_writer.h"
#include "packer/output/zip_rules.h"

namespace holdall::packer {

struct OutputOptions {
  Format format = Format::kTarZst;
  int level = 3;                                                        // of the format, from its lowest to its highest
  unsigned threads = 0;                                                 // 0: all processors
  std::int64_t mtime = 0;                                               // of every member, at most the format's latest
  std::string root = {};                                                // folder in the archive that holds everything
  bundle::ArchiveDigest archive_digest = bundle::ArchiveDigest::kSkip;  // a folder has none
  Zip64 zip64 = Zip64::kWhereNeeded;
  std::shared_ptr<const bundle::BaseArchive> base = {};  // of tar.zst only, as
  std::string copied_base = {};                          // its path, if it is as its writer left it, and
  bool frame_digests = false;                            // the writer's options are
  std::function<void()> check = {};                      // called now and then; may throw to cancel
};

// Without commit() nothing is left of it.
class PackOutput : public MemberWriter {
 public:
  // Once, after finish(). Replaces what is there; returns the path of what is left of that and could not be removed, or
  // nothing.
  virtual std::string commit() = 0;
};

// Throws Error{kStorage, kNotFound}.
std::unique_ptr<PackOutput> open_output(const std::string& path, const OutputOptions& options,
                                        const bundle::BundleInfo& info);

// The compressor, for bundle.json's `build`: its name, its version and the level. Empty where the format has none.
// Throws Error{kNotFound} where it is a program that is not there.
std::pair<std::string, std::string> compressor_of(Format format, int level);

}  // namespace holdall::packer
