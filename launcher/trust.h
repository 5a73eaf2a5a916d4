// Whom a bundle comes from: what its publisher has signed (SOURCE.release.json and .minisig), or the user's word.
#pragma once

#include <optional>
#include <string>

#include "bundle/release.h"
#include "launcher/options.h"
#include "launcher/source.h"

namespace holdall::launcher {

struct TrustOptions {
  std::string key;      // a minisign public key: a file, or its line of base64; empty: those of trusted_keys()
  std::string release;  // the release.json, with its signature beside it; empty: SOURCE.release.json
  bool insecure = false;
};

// Declares --key and --release, and --insecure which excludes them.
void add_trust_options(CLI::App& command, TrustOptions& options);

// Whether signatures are to be checked: a key was given or there are trusted ones, and --insecure was not. Throws
// Error{kUsage} for a HOLDALL_KEY that is set and empty: a secret that got lost on its way must not turn the check off;
// what trusted_keys() throws.
bool has_key(const TrustOptions& options);

struct SignedBundle {
  bundle::Release release;
  std::string json;  // of the release, as it was signed
};

// What the given key, or one of the trusted ones, has signed. Throws Error{kTrust} if one of the two files is missing,
// malformed, expired or not signed with such a key, Error{kNotFound, kStorage} for the keys. Reads nothing of the
// bundle.
SignedBundle load_signed(const std::string& source, const TrustOptions& options, const FetchOptions& fetch = {});

// With a key, load_signed(). Without one, a local file gets a line of warning, and a pipe is refused with Error{kTrust}
// unless --insecure is given.
std::optional<SignedBundle> check_trust(const Source& source, const TrustOptions& options, Verbosity verbosity);

// The same for what is to be fetched, before anything of it is: refused without a key unless --insecure is given. Of
// any other source: nothing, it is opened first.
std::optional<SignedBundle> check_remote_trust(const std::string& given, const TrustOptions& options,
                                               const FetchOptions& fetch);

// Throw Error{kTrust} unless the archive called `name` is the one that was signed. The first compares its table of
// contents: enough for whoever takes nothing from the archive but what that table proves. (The times of the files are
// not in it: extract() takes one for all from the first tar header, where a forger may write another.) The second reads
// all of it.
void require_signed(const bundle::Release& release, const bundle::Reader& archive, const std::string& name);
void require_signed_bytes(const bundle::Release& release, const bundle::RandomAccess& archive, const std::string& name);

}  // namespace holdall::launcher
