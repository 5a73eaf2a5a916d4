#include "bundle/release.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "bundle/json_checks.h"
#include "bundle/limits.h"
#include "bundle/utc_time.h"
#include "bundle/version_order.h"

namespace holdall::bundle {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kReleaseFormat = 1;
constexpr std::uint64_t kMaxArchive = kMaxTotalBytes;
constexpr std::size_t kMaxReleaseBytes = 64 * 1024;
constexpr std::size_t kMaxWord = 64;
constexpr std::size_t kHashedAtOnce = std::size_t{1} << 20;

std::string word(const JsonView& view) {
  std::string text = view.string();
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '+' || c == '-';
  };
  if (text.empty() || text.size() > kMaxWord || !std::ranges::all_of(text, is_plain))
    view.fail("expected 1 to 64 letters, digits and '._+-'");
  return text;
}

Digest digest(const JsonView& view) {
  try {
    return parse_digest(view.string());
  } catch (const Error& error) {
    view.fail(error.what());
  }
}

Release parse_checked(std::string_view text, const std::string& subject) {
  if (text.size() > kMaxReleaseBytes) throw Error(ErrorKind::kBadBundle, subject + ": it is larger than 64 KiB");
  json document;
  try {
    JsonGuard guard(subject, {.max_depth = 4, .max_keys = 64});
    document = json::parse(text, [&](int depth, json::parse_event_t event, const json& parsed) {
      guard(depth, event, parsed);
      return true;
    });
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kBadBundle, subject + ": " + error.what());
  }
  const JsonView view = JsonView(document, subject).object();
  if (const std::uint64_t format = view.at("format_version").number(); format > kReleaseFormat)
    view.fail("release format " + std::to_string(format) + " is newer than " + std::to_string(kReleaseFormat) +
              ": upgrade holdall");
  Release release;
  release.name = word(view.at("name"));
  release.version = word(view.at("version"));
  const JsonView archive = view.at("archive").object(), toc = view.at("toc").object();
  release.archive_bytes = archive.at("size").number(kMaxArchive);
  release.archive_digest = digest(archive.at("sha256"));
  release.toc_offset = toc.at("offset").number(kMaxArchive);
  release.toc_size = toc.at("size").number(kMaxTocBytes);
  release.toc_digest = digest(toc.at("sha256"));
  if (release.toc_offset > release.archive_bytes || release.toc_size > release.archive_bytes - release.toc_offset)
    toc.fail("it lies outside the archive");
  if (view.has("expires")) {
    release.expires = parse_utc(view.at("expires").string());
    if (!release.expires) view.at("expires").fail("expected a time such as 2027-06-30T00:00:00Z");
  }
  if (view.has("min_version")) {
    release.min_version = word(view.at("min_version"));
    if (compare_release_versions(release.version, release.min_version) < 0)
      view.at("min_version").fail("it is above the release's own version, " + release.version);
  }
  return release;
}

}  // namespace

std::string to_json(const Release& release) {
  ordered_json document{
      {"format_version", kReleaseFormat},
      {"name", release.name},
      {"version", release.version},
      {"archive", {{"size", release.archive_bytes}, {"sha256", to_hex(release.archive_digest)}}},
      {"toc", {{"offset", release.toc_offset}, {"size", release.toc_size}, {"sha256", to_hex(release.toc_digest)}}}};
  if (release.expires) document["expires"] = format_utc(*release.expires);
  if (!release.min_version.empty()) document["min_version"] = release.min_version;
  return document.dump(2) + "\n";
}

Release parse_release(std::string_view text, const std::string& name) {
  try {
    return parse_checked(text, "cannot use '" + name + "'");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadBundle) throw;
    throw Error(ErrorKind::kTrust, error.what());
  }
}

Release verify_release(const SignedRelease& files, const PublicKey& key, std::int64_t now) {
  verify(key, parse_signature(files.signature, files.signature_name), as_byte_span(files.json), files.signature_name);
  Release release = parse_release(files.json, files.json_name);
  if (release.expires && now >= *release.expires)
    throw Error(ErrorKind::kTrust, "cannot trust '" + files.json_name + "': it expired at " +
                                       format_utc(*release.expires) + ": get a newer release");
  return release;
}

std::string difference(const Release& release, const Reader& archive) {
  const BundleInfo& info = archive.info();
  if (info.name != release.name || info.version != release.version)
    return "it is " + info.name + " " + info.version + ", signed is " + release.name + " " + release.version;
  if (archive.archive_bytes() != release.archive_bytes)
    return "it has " + std::to_string(archive.archive_bytes()) + " bytes, signed are " +
           std::to_string(release.archive_bytes);
  const Footer& footer = archive.footer();
  if (footer.toc_offset != release.toc_offset || footer.toc_size != release.toc_size ||
      archive.toc_digest() != release.toc_digest)
    return "its table of contents is not the one that was signed";
  return {};
}

Digest archive_digest(const RandomAccess& archive) {
  Sha256 hash;
  std::vector<std::byte> block(kHashedAtOnce);
  for (std::uint64_t at = 0; at < archive.size(); at += block.size()) {
    block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kHashedAtOnce, archive.size() - at)));
    archive.read_at(at, block);
    hash.update(block);
  }
  return hash.finish();
}

}  // namespace holdall::bundle
