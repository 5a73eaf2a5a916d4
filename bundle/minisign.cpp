#include "bundle/minisign.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "bundle/base64.h"
#include "bundle/byte_order.h"
#include "bundle/error.h"

namespace holdall::bundle {

namespace {

// As in minisign.h of minisign 0.11; there the prefix counts, too.
constexpr std::size_t kMaxComment = 1024, kMaxTrustedComment = 8192;
constexpr std::string_view kUntrusted = "untrusted comment: ", kTrusted = "trusted comment: ";
constexpr std::string_view kAlgorithm = "Ed", kHashedAlgorithm = "ED";

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw Error(ErrorKind::kTrust, "cannot use '" + name + "': " + why);
}

// The lines of a file, with either line end. More than `count`, or fewer, are refused.
std::vector<std::string_view> lines_of(std::string_view text, std::size_t count, const std::string& name) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (line.ends_with('\r')) line.remove_suffix(1);
    if (lines.size() == count && line.empty()) continue;  // blank lines behind the last
    if (lines.size() == count) refuse(name, "it has more than " + std::to_string(count) + " lines");
    lines.push_back(line);
  }
  if (lines.size() < count)
    refuse(name, "it ends after " + std::to_string(lines.size()) + " of " + std::to_string(count) + " lines");
  return lines;
}

std::string_view comment_of(std::string_view line, std::string_view prefix, const std::string& name) {
  if (!line.starts_with(prefix)) refuse(name, "a line does not begin with '" + std::string(prefix) + "'");
  if (line.size() > (prefix == kTrusted ? kMaxTrustedComment : kMaxComment)) refuse(name, "a comment is too long");
  const auto is_control = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; };
  if (std::ranges::any_of(line, is_control)) refuse(name, "a comment has control characters");
  return line.substr(prefix.size());
}

std::vector<std::byte> decoded(std::string_view line, std::size_t size, const std::string& name) {
  auto bytes = decode_base64(line.substr(0, 2 * size + 4));
  if (!bytes || bytes->size() != size || line.size() > 2 * size) refuse(name, "a line is not base64 of its size");
  return *std::move(bytes);
}

// Cuts the next array off.
template <std::size_t kSize>
std::array<std::uint8_t, kSize> take(std::span<const std::byte>& bytes) {
  std::array<std::uint8_t, kSize> result;
  std::ranges::transform(bytes.first(kSize), result.begin(), [](std::byte b) { return std::to_integer<uint8_t>(b); });
  bytes = bytes.subspan(kSize);
  return result;
}

std::string_view take_algorithm(std::span<const std::byte>& bytes) {
  const std::string_view name(reinterpret_cast<const char*>(bytes.data()), 2);
  bytes = bytes.subspan(2);
  return name;
}

void append(std::vector<std::byte>& out, std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) out.push_back(std::byte{byte});
}

// Before the first use of OpenSSL: the host's openssl.cnf may activate providers from shared objects, and a static
// program must not load those.
void start_openssl() {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
}

bool is_signed(const PublicKey& key, const Ed25519Signature& signature, std::span<const std::byte> message) {
  const auto raw = [](std::span<const std::byte> bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
  };
  start_openssl();
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> handle(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.key.data(), key.key.size()), &EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  if (!handle || !context || EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle.get()) != 1)
    throw Error(ErrorKind::kInternal, "cannot start to verify a signature: openssl failed");
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), raw(message), message.size()) == 1;
}

}  // namespace

std::string to_string(const KeyId& id) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (auto byte = id.rbegin(); byte != id.rend(); ++byte) {  // a little-endian number
    text += kDigits[*byte >> 4];
    text += kDigits[*byte & 15];
  }
  return text;
}

PublicKey parse_public_key(std::string_view text, const std::string& name) {
  std::string_view encoded = text;
  if (text.starts_with(kUntrusted)) {
    const auto lines = lines_of(text, 2, name);
    comment_of(lines[0], kUntrusted, name);
    encoded = lines[1];
  } else {
    encoded = lines_of(text, 1, name)[0];
  }
  PublicKey result;
  const std::vector<std::byte> bytes = decoded(encoded, 2 + result.id.size() + result.key.size(), name);
  std::span<const std::byte> rest = bytes;
  if (take_algorithm(rest) != kAlgorithm) refuse(name, "it is no Ed25519 public key");
  result.id = take<8>(rest);
  result.key = take<32>(rest);
  return result;
}

Signature parse_signature(std::string_view text, const std::string& name) {
  const auto lines = lines_of(text, 4, name);
  comment_of(lines[0], kUntrusted, name);
  Signature result;
  const std::vector<std::byte> bytes = decoded(lines[1], 2 + result.id.size() + result.signature.size(), name);
  std::span<const std::byte> rest = bytes;
  const std::string_view algorithm = take_algorithm(rest);
  if (algorithm == kAlgorithm)
    refuse(name, "it is a legacy signature, over a file that was not hashed: sign again, without minisign's -l");
  if (algorithm != kHashedAlgorithm) refuse(name, "its algorithm is not known");
  result.id = take<8>(rest);
  result.signature = take<64>(rest);
  result.trusted_comment = comment_of(lines[2], kTrusted, name);
  const std::vector<std::byte> global = decoded(lines[3], result.global_signature.size(), name);
  rest = global;
  result.global_signature = take<64>(rest);
  return result;
}

std::string to_text(const PublicKey& key) {
  std::vector<std::byte> bytes;
  append(bytes, std::span(reinterpret_cast<const std::uint8_t*>(kAlgorithm.data()), kAlgorithm.size()));
  append(bytes, key.id);
  append(bytes, key.key);
  return std::string(kUntrusted) + "minisign public key " + to_string(key.id) + "\n" + encode_base64(bytes) + "\n";
}

std::string to_text(const Signature& signature) {
  std::vector<std::byte> bytes;
  append(bytes, std::span(reinterpret_cast<const std::uint8_t*>(kHashedAlgorithm.data()), kHashedAlgorithm.size()));
  append(bytes, signature.id);
  append(bytes, signature.signature);
  return std::string(kUntrusted) + "signature from holdall-pack\n" + encode_base64(bytes) + "\n" +
         std::string(kTrusted) + signature.trusted_comment + "\n" +
         encode_base64(std::as_bytes(std::span(signature.global_signature))) + "\n";
}

Blake2bDigest blake2b(std::span<const std::byte> message) {
  start_openssl();
  const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm(EVP_MD_fetch(nullptr, "BLAKE2B-512", nullptr),
                                                                  &EVP_MD_free);
  Blake2bDigest digest{};
  unsigned size = 0;
  if (!algorithm || EVP_Digest(message.data(), message.size(), digest.data(), &size, algorithm.get(), nullptr) != 1 ||
      size != digest.size())
    throw Error(ErrorKind::kInternal, "cannot compute a BLAKE2b: openssl failed");
  return digest;
}

std::string globally_signed(const Signature& signature) {
  std::string bytes(reinterpret_cast<const char*>(signature.signature.data()), signature.signature.size());
  return bytes + signature.trusted_comment;
}

void verify(const PublicKey& key, const Signature& signature, std::span<const std::byte> message,
            const std::string& name) {
  if (signature.id != key.id)
    refuse(name, "it is signed with key " + to_string(signature.id) + ", not with " + to_string(key.id));
  const Blake2bDigest digest = blake2b(message);
  if (!is_signed(key, signature.signature, std::as_bytes(std::span(digest))))
    refuse(name, "what it signs has been changed, or another has signed it");
  if (!is_signed(key, signature.global_signature, as_byte_span(globally_signed(signature))))
    refuse(name, "its trusted comment has been changed");
}

}  // namespace holdall::bundle
