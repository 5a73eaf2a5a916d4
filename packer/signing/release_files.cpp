#include "packer/signing/release_files.h"

#include "bundle/byte_order.h"
#include "bundle/release.h"

namespace holdall::packer {

ReleaseFiles sign_release(const bundle::BundleInfo& info, const bundle::WriteSummary& summary,
                          const ReleaseTerms& terms, const SecretKey& key) {
  ReleaseFiles files;
  files.json = to_json(bundle::Release{.name = info.name,
                                       .version = info.version,
                                       .archive_bytes = summary.archive_bytes,
                                       .archive_digest = summary.archive_digest.value(),
                                       .toc_offset = summary.toc_offset,
                                       .toc_size = summary.toc_size,
                                       .toc_digest = summary.toc_digest,
                                       .expires = terms.expires,
                                       .min_version = terms.min_version});
  const bundle::Signature signature =
      key.sign(bundle::as_byte_span(files.json), "holdall release " + info.name + " " + info.version);
  files.signature = to_text(signature);
  return files;
}

}  // namespace holdall::packer
