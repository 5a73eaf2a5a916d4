#include "packer/companions.h"

#include <utility>

#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "bundle/version_order.h"
#include "packer/signing/key_file.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

std::string release_path(const std::string& archive) {
  return archive + ".release.json";
}

std::string signature_path(const std::string& archive) {
  return release_path(archive) + ".minisig";
}

}  // namespace

Companions::Companions(CompanionRequest request) : request_(std::move(request)) {
  if (!request_.key.empty()) key_.emplace(load_secret_key(request_.key));
}

std::vector<std::string> Companions::paths(const std::string& archive) const {
  std::vector<std::string> result;
  if (!request_.sbom.empty()) result.push_back(request_.sbom);
  if (key_) result.insert(result.end(), {release_path(archive), signature_path(archive)});
  return result;
}

void Companions::check_version(const std::string& version) const {
  const std::string& least = request_.terms.min_version;
  if (key_ && !least.empty() && bundle::compare_release_versions(version, least) < 0)
    throw Error(ErrorKind::kUsage, "--min-version " + least + " is above the version that is packed, " + version);
}

void Companions::add(const std::string& path, const std::string& contents) {
  bundle::AtomicFile& file = files_.emplace_back(path);
  file.write(bundle::as_byte_span(contents));
  file.finish();
}

void Companions::prepare(const std::string& archive, const PackPlan& plan, const PackResult& result) {
  if (!request_.sbom.empty()) add(request_.sbom, result.sbom);
  if (!key_) return;
  const ReleaseFiles release = sign_release(plan.info, result.summary, request_.terms, *key_);
  add(release_path(archive), release.json);
  add(signature_path(archive), release.signature);
}

void Companions::commit() {
  for (bundle::AtomicFile& file : files_) file.commit();
}

std::vector<std::pair<std::string, std::string>> Companions::describe(const std::string& archive) const {
  std::vector<std::pair<std::string, std::string>> result;
  if (!request_.sbom.empty()) result.emplace_back("sbom", request_.sbom);
  if (!key_) return result;
  result.emplace_back("release", release_path(archive));
  result.emplace_back("signature", signature_path(archive));
  result.emplace_back("key_id", bundle::to_string(key_->public_key().id));
  return result;
}

}  // namespace holdall::packer
