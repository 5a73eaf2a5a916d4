// What goes beside an archive: its SBOM (--sbom), and its release.json with a signature (--sign).
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bundle/atomic_file.h"
#include "packer/pack.h"
#include "packer/plan.h"
#include "packer/signing/release_files.h"

namespace holdall::packer {

struct CompanionRequest {
  std::string sbom;  // the file; empty: none
  std::string key;   // file of a secret key; empty: the archive is not signed
  ReleaseTerms terms;
};

class Companions {
 public:
  // Loads the key, and may ask for its password: make it before threads and before signals are blocked. Throws as
  // load_secret_key().
  explicit Companions(CompanionRequest request);

  bool signs() const { return key_.has_value(); }

  // Of the files that will be there.
  std::vector<std::string> paths(const std::string& archive) const;

  // Throws Error{kUsage} if a release of that version would be below its own min_version.
  void check_version(const std::string& version) const;

  // Brings them to the disk under temporary names, once the archive is whole; `result` has its digest if it is to be
  // signed. Then commit(), after the archive's, only renames them, the signature last. Without it nothing is left of
  // them.
  void prepare(const std::string& archive, const PackPlan& plan, const PackResult& result);
  void commit();

  // "sbom", "release", "signature" and "key_id", as they are there: for --json.
  std::vector<std::pair<std::string, std::string>> describe(const std::string& archive) const;

 private:
  void add(const std::string& path, const std::string& contents);

  CompanionRequest request_;
  std::optional<SecretKey> key_;
  std::deque<bundle::AtomicFile> files_;
};

}  // namespace holdall::packer
