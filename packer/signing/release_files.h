// What is published beside an archive: FILE.release.json and its minisign signature.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bundle/bundle_info.h"
#include "bundle/writer.h"
#include "packer/signing/secret_key.h"

namespace holdall::packer {

// What the publisher adds to what the archive says of itself.
struct ReleaseTerms {
  std::optional<std::int64_t> expires{};  // seconds since 1970
  std::string min_version;                // empty: none
};

struct ReleaseFiles {
  std::string json, signature;
};

// `summary` has the archive's digest. The same archive, terms and key give the same bytes.
ReleaseFiles sign_release(const bundle::BundleInfo& info, const bundle::WriteSummary& summary,
                          const ReleaseTerms& terms, const SecretKey& key);

}  // namespace holdall::packer
