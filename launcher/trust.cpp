#include "launcher/trust.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>

#include "bundle/error.h"
#include "launcher/disk.h"
#include "launcher/fetch/url.h"
#include "launcher/trusted_keys.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr std::size_t kLargestKey = 4096;
constexpr std::size_t kLargestRelease = 64 * 1024;
constexpr std::size_t kLargestSignature = 16 * 1024;  // two comments and 140 bytes
constexpr std::size_t kEncodedKey = 56;               // base64 of a public key

std::string read_small(const std::string& path, std::size_t limit) {
  std::string bytes = read_named(path, limit);
  if (bytes.size() > limit)
    throw Error(ErrorKind::kTrust, "cannot use '" + path + "': it is larger than " + std::to_string(limit) + " bytes");
  return bytes;
}

std::string folder_hint() {
  const std::string folder = trusted_keys_folder();
  return folder.empty() ? "" : " or put the publisher's .pub into '" + folder + "',";
}

bundle::PublicKey load_given_key(const std::string& given) {
  std::error_code ignored;
  if (given.size() == kEncodedKey && given.starts_with("RW") && !std::filesystem::exists(given, ignored))
    return bundle::parse_public_key(given, given);
  return bundle::parse_public_key(read_small(given, kLargestKey), given);
}

// The one that the signature names.
bundle::PublicKey find_trusted_key(const bundle::Signature& signature, const std::string& name) {
  std::string known;
  for (const TrustedKey& trusted : trusted_keys()) {
    if (trusted.key.id == signature.id) return trusted.key;
    known += (known.empty() ? "" : ", ") + bundle::to_string(trusted.key.id);
  }
  throw Error(ErrorKind::kTrust, "cannot trust '" + name + "': it is signed with key " +
                                     bundle::to_string(signature.id) + ", trusted are " + known + ": give --key," +
                                     folder_hint() + " if you trust who has that key");
}

std::string shown(const std::string& given) {
  return is_remote(given) ? parse_url(given).shown() : given;
}

// "SOURCE<suffix>", before the query of an address.
std::string name_beside(const std::string& given, const std::string& suffix) {
  if (!is_remote(given)) return given + suffix;
  const Url url = beside(parse_url(given), suffix);
  return url.origin() + url.target();
}

std::string read_beside(const std::string& source, const std::string& path, std::size_t limit,
                        const FetchOptions& fetch) {
  try {
    return is_remote(path) ? fetch_small(parse_url(path), limit, fetch) : read_small(path, limit);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;
    throw Error(ErrorKind::kTrust, "cannot trust '" + shown(source) + "': there is no '" + shown(path) +
                                       "': get it from where the archive comes from, or give --insecure to accept it "
                                       "as it is");
  }
}

// What is signed of `source`, as one of the addresses has it.
bundle::SignedRelease read_signed(const std::string& source, const std::string& given, const FetchOptions& fetch) {
  std::vector<std::string> names{given.empty() ? name_beside(source, ".release.json") : given};
  if (given.empty())
    for (const std::string& mirror : fetch.mirrors) names.push_back(name_beside(mirror, ".release.json"));
  for (std::size_t i = 0;; ++i) {
    FetchOptions own = fetch;
    if (i != 0 && !parse_url(names[i]).same_origin(parse_url(source))) own.headers.clear();
    bundle::SignedRelease files;
    files.json_name = names[i];
    files.signature_name = name_beside(files.json_name, ".minisig");
    try {
      files.json = read_beside(source, files.json_name, kLargestRelease, own);
      files.signature = read_beside(source, files.signature_name, kLargestSignature, own);
      files.json_name = shown(files.json_name);
      files.signature_name = shown(files.signature_name);
      return files;
    } catch (const Error& error) {
      const bool elsewhere = error.kind() == ErrorKind::kNetwork || error.kind() == ErrorKind::kTrust;
      if (!elsewhere || i + 1 == names.size()) throw;
    }
  }
}

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw Error(ErrorKind::kTrust, "'" + name + "' is not the archive that was signed: " + why);
}

}  // namespace

void add_trust_options(CLI::App& command, TrustOptions& options) {
  CLI::Option* const key =
      command
          .add_option("--key", options.key,
                      "minisign public key, a file or its base64, that the bundle's release.json must be signed with "
                      "[any of $XDG_CONFIG_HOME/holdall/keys/*.pub]")
          ->check([](const std::string& given) {
            return given.empty() ? "it is empty: leave it out to check no signature" : "";
          });
  command.add_option("--release", options.release, "the release.json, its .minisig beside it [SOURCE.release.json]");
  command.add_flag("--insecure", options.insecure, "check no signature, also where one is needed or a key is trusted")
      ->excludes(key);
}

bool has_key(const TrustOptions& options) {
  if (!options.key.empty()) return true;
  if (options.insecure) return false;
  if (const char* const variable = std::getenv("HOLDALL_KEY"); variable != nullptr && *variable == '\0')
    throw Error(ErrorKind::kUsage, "HOLDALL_KEY is empty: unset it to check no signature");
  if (!trusted_keys().empty()) return true;
  const char* const release = std::getenv("HOLDALL_RELEASE");  // alone it is for whoever has a use for it
  if (!options.release.empty() && !(release != nullptr && options.release == release))
    throw Error(ErrorKind::kUsage, "cannot check '" + shown(options.release) + "': no key is given: give --key," +
                                       folder_hint() + " or leave --release out");
  return false;
}

SignedBundle load_signed(const std::string& source, const TrustOptions& options, const FetchOptions& fetch) {
  std::optional<bundle::PublicKey> key;  // one that cannot be read is said before anything is fetched
  if (!options.key.empty()) key = load_given_key(options.key);
  if (options.release.empty() && source == "-")
    throw Error(ErrorKind::kUsage, "cannot check '-' against a key: say with --release where its release.json is");
  bundle::SignedRelease files = read_signed(source, options.release, fetch);
  if (!key)
    key = find_trusted_key(bundle::parse_signature(files.signature, files.signature_name), files.signature_name);
  bundle::Release release = verify_release(files, *key, std::time(nullptr));
  return {std::move(release), std::move(files.json)};
}

std::optional<SignedBundle> check_trust(const Source& source, const TrustOptions& options, Verbosity verbosity) {
  if (has_key(options)) return load_signed(source.given(), options);
  if (options.insecure) return std::nullopt;
  if (source.kind() == SourceKind::kPipe)
    throw Error(ErrorKind::kTrust, "cannot trust '-': a piped bundle needs a signature: give --key and --release," +
                                       folder_hint() + " or give --insecure to accept it as it is");
  if (verbosity != Verbosity::kQuiet)
    std::cerr << "warning: the signature of '" << source.given()
              << "' was not checked (--key): accepted because it is a local file\n";
  return std::nullopt;
}

std::optional<SignedBundle> check_remote_trust(const std::string& given, const TrustOptions& options,
                                               const FetchOptions& fetch) {
  if (!is_remote(given)) return std::nullopt;
  if (has_key(options)) return load_signed(given, options, fetch);
  if (options.insecure) return std::nullopt;
  throw Error(ErrorKind::kTrust, "cannot trust '" + shown(given) +
                                     "': a bundle from a server needs a signature: give --key," + folder_hint() +
                                     " or give --insecure to accept it as it is");
}

void require_signed(const bundle::Release& release, const bundle::Reader& archive, const std::string& name) {
  if (const std::string why = difference(release, archive); !why.empty()) refuse(name, why);
}

void require_signed_bytes(const bundle::Release& release, const bundle::RandomAccess& archive,
                          const std::string& name) {
  if (archive.size() != release.archive_bytes)
    refuse(name,
           "it has " + std::to_string(archive.size()) + " bytes, signed are " + std::to_string(release.archive_bytes));
  const bundle::Digest digest = archive_digest(archive);
  if (digest != release.archive_digest) refuse(name, "its sha256 is " + bundle::to_hex(digest));
}

}  // namespace holdall::launcher
