// x.tar.zst.release.json: what a publisher says of an archive and signs with minisign (x.tar.zst.release.json.minisig),
// so that signing and trusting take a kilobyte instead of gigabytes. FORMAT.md has the JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bundle/digest.h"
#include "bundle/minisign.h"
#include "bundle/reader.h"

namespace holdall::bundle {

struct Release {
  std::string name, version;  // of the bundle
  std::uint64_t archive_bytes = 0;
  Digest archive_digest{};
  std::uint64_t toc_offset = 0, toc_size = 0;  // of the compressed TOC, as in the archive's footer
  Digest toc_digest{};
  std::optional<std::int64_t> expires;  // seconds since 1970: from then on it is not to be trusted
  std::string min_version;              // whoever has this release must not go below; empty: anything
};

// The same release gives the same bytes.
std::string to_json(const Release& release);

// Throws Error{kTrust} naming `name` and the JSON pointer of the fault. A newer format is refused first.
Release parse_release(std::string_view json, const std::string& name);

// A release.json and its signature, as read, and how to call them in messages.
struct SignedRelease {
  std::string json, signature;
  std::string json_name, signature_name;
};

// Authenticates before it parses. Throws Error{kTrust}: not `key`'s signature, malformed, or expired at `now` (seconds
// since 1970).
Release verify_release(const SignedRelease& files, const PublicKey& key, std::int64_t now);

// What tells an archive from the one that was signed, as far as its ends and its TOC tell; empty: nothing. Parses
// nothing of the TOC: its bytes are compared. A whole archive's digest is for the caller to compare.
std::string difference(const Release& release, const Reader& archive);

// The sha256 of all of it.
Digest archive_digest(const RandomAccess& archive);

}  // namespace holdall::bundle
