#include "packer/signing/secret_key.h"

#include <blake2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "bundle/base64.h"
#include "bundle/byte_order.h"
#include "bundle/error.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr std::string_view kComment = "untrusted comment: ";
constexpr std::size_t kMaxComment = 1024;

// Of the decoded line.
constexpr std::size_t kKdfAt = 2, kChecksumKindAt = 4, kSaltAt = 6, kSaltSize = 32, kOperationsAt = 38, kMemoryAt = 46;
constexpr std::size_t kSealedAt = 54, kIdAt = 54, kSeedAt = 62, kPublicAt = 94, kChecksumAt = 126, kSize = 158;
constexpr std::size_t kSealedSize = kSize - kSealedAt, kChecksumSize = 32;
constexpr std::string_view kEd25519 = "Ed", kScrypt = "Sc", kPlain{"\0\0", 2}, kBlake2b = "B2";

// More than anybody's key asks for: 2 GiB, and a hundred seconds.
constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 31, kMaxOperations = std::uint64_t{1} << 30;
constexpr std::uint64_t kLeastOperations = 32768;  // libsodium takes no less

using KeyHandle = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw Error(ErrorKind::kTrust, "cannot use secret key '" + name + "': " + why);
}

[[noreturn]] void openssl_failed(const std::string& what) {
  throw Error(ErrorKind::kInternal, "cannot " + what + ": openssl failed");
}

KeyHandle open_key(const SecretBytes& seed) {
  KeyHandle key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.bytes().data(), seed.bytes().size()),
                &EVP_PKEY_free);
  if (!key) openssl_failed("open an Ed25519 key");
  return key;
}

void fill_randomly(std::span<std::uint8_t> bytes) {
  if (RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) openssl_failed("get random bytes");
}

// scrypt's own parameters for a cost, as libsodium's crypto_pwhash_scryptsalsa208sha256 chooses them; r is 8.
struct ScryptParameters {
  std::uint64_t n = 0, p = 0;
  static constexpr std::uint64_t kR = 8;
  std::uint64_t bytes() const { return 128 * kR * n; }
};
ScryptParameters scrypt_parameters(const ScryptCost& cost) {
  const std::uint64_t operations = std::max(cost.operations, kLeastOperations);
  const bool is_short_of_time = operations < cost.memory / 32;
  const std::uint64_t largest =
      is_short_of_time ? operations / (4 * ScryptParameters::kR) : cost.memory / (128 * ScryptParameters::kR);
  ScryptParameters result{.n = 2, .p = 1};
  while (result.n <= largest / 2) result.n *= 2;
  if (!is_short_of_time) result.p = std::min<std::uint64_t>(operations / 4 / result.n, 0x3fffffff) / result.kR;
  return result;
}

// XORs the stream that password and salt give onto `sealed`.
void apply_password(std::span<std::uint8_t> sealed, const SecretBytes& password, std::span<const std::uint8_t> salt,
                    const ScryptCost& cost) {
  const ScryptParameters parameters = scrypt_parameters(cost);
  SecretBytes stream(sealed.size());
  if (EVP_PBE_scrypt(password.text().data(), password.text().size(), salt.data(), salt.size(), parameters.n,
                     parameters.kR, parameters.p, 2 * kMaxMemory, stream.bytes().data(), stream.bytes().size()) != 1) {
    throw Error(ErrorKind::kInternal, "cannot derive a key from the password: " +
                                          std::to_string(parameters.bytes() >> 20) + " MiB of memory are needed");
  }
  for (std::size_t i = 0; i < sealed.size(); ++i) sealed[i] ^= stream.bytes()[i];
}

// OpenSSL 3.0 has BLAKE2b of 64 bytes only, and a shorter one is not its beginning.
std::array<std::uint8_t, kChecksumSize> checksum(std::span<const std::uint8_t> record) {
  SecretBytes input(2 + kChecksumAt - kIdAt);
  std::ranges::copy(record.first(2), input.bytes().begin());
  std::ranges::copy(record.subspan(kIdAt, kChecksumAt - kIdAt), input.bytes().begin() + 2);
  std::array<std::uint8_t, kChecksumSize> result{};
  if (::blake2b(result.data(), input.bytes().data(), nullptr, result.size(), input.bytes().size(), 0) != 0)
    throw Error(ErrorKind::kInternal, "cannot compute a BLAKE2b: libb2 failed");
  return result;
}

std::uint64_t load(std::span<const std::uint8_t> record, std::size_t at) {
  return bundle::load_le<std::uint64_t>(std::as_bytes(record), at);
}

void store(std::span<std::uint8_t> record, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < sizeof value; ++i) record[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

void put(std::span<std::uint8_t> record, std::size_t at, std::string_view text) {
  std::ranges::copy(text, record.begin() + static_cast<std::ptrdiff_t>(at));
}

// Comment and base64 of what is sealed, wiping what is between.
SecretBytes encode(const SecretBytes& record, std::string_view comment) {
  std::string encoded = bundle::encode_base64(std::as_bytes(record.bytes()));
  const std::string first = std::string(kComment).append(comment) + "\n";
  SecretBytes text(first.size() + encoded.size() + 1);
  put(text.bytes(), 0, first);
  put(text.bytes(), first.size(), encoded);
  put(text.bytes(), first.size() + encoded.size(), "\n");
  OPENSSL_cleanse(encoded.data(), encoded.size());
  return text;
}

// The record of a file's second line.
SecretBytes decode(std::string_view text, const std::string& name) {
  const std::size_t end = text.find('\n');
  if (!text.starts_with(kComment) || end == text.npos || end > kMaxComment)
    refuse(name, "it does not begin with a line '" + std::string(kComment) + "…': is it a minisign secret key?");
  text.remove_prefix(end + 1);
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  auto bytes = bundle::decode_base64(text.substr(0, 2 * kSize));
  if (!bytes || bytes->size() != kSize || text.size() > 2 * kSize)
    refuse(name, "its second line is not base64 of " + std::to_string(kSize) + " bytes: it is truncated or damaged");
  SecretBytes record(kSize);
  std::memcpy(record.bytes().data(), bytes->data(), kSize);
  OPENSSL_cleanse(bytes->data(), bytes->size());
  return record;
}

}  // namespace

void SecretKey::derive_public_key() {
  std::size_t size = public_.key.size();
  if (EVP_PKEY_get_raw_public_key(open_key(seed_).get(), public_.key.data(), &size) != 1 || size != public_.key.size())
    openssl_failed("derive a public key");
}

SecretKey SecretKey::generate() {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  SecretKey key;
  fill_randomly(key.seed_.bytes());
  fill_randomly(key.public_.id);
  key.derive_public_key();
  return key;
}

SecretKey SecretKey::parse(std::string_view text, const std::string& name,
                           const std::function<SecretBytes()>& password) {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  SecretBytes record = decode(text, name);
  const std::span<std::uint8_t> bytes = record.bytes();
  const auto kind = [&](std::size_t at) { return record.text().substr(at, 2); };
  const bool is_encrypted = kind(kKdfAt) == kScrypt;
  if (kind(0) != kEd25519) refuse(name, "it is no Ed25519 key");
  if (!is_encrypted && kind(kKdfAt) != kPlain) refuse(name, "how it is encrypted is not known");
  if (kind(kChecksumKindAt) != kBlake2b) refuse(name, "its checksum is of an unknown kind");
  if (is_encrypted) {
    const ScryptCost cost{.operations = load(bytes, kOperationsAt), .memory = load(bytes, kMemoryAt)};
    if (cost.operations > kMaxOperations || cost.memory > kMaxMemory || scrypt_parameters(cost).p == 0)
      refuse(name, "what it asks of scrypt is out of bounds: it is damaged");
    apply_password(bytes.subspan(kSealedAt, kSealedSize), password(), bytes.subspan(kSaltAt, kSaltSize), cost);
  }
  const auto found = bytes.subspan(kChecksumAt, kChecksumSize);
  const bool has_none = !is_encrypted && std::ranges::all_of(found, [](std::uint8_t byte) { return byte == 0; });
  if (!has_none && CRYPTO_memcmp(checksum(bytes).data(), found.data(), found.size()) != 0)
    refuse(name, is_encrypted ? "the password is wrong" : "its checksum is wrong: it is damaged");
  SecretKey key;
  std::ranges::copy(bytes.subspan(kIdAt, key.public_.id.size()), key.public_.id.begin());
  std::ranges::copy(bytes.subspan(kSeedAt, key.seed_.bytes().size()), key.seed_.bytes().begin());
  key.derive_public_key();
  if (!std::ranges::equal(bytes.subspan(kPublicAt, key.public_.key.size()), key.public_.key))
    refuse(name, "its two halves do not belong together: it is damaged");
  return key;
}

SecretBytes SecretKey::to_text() const {
  SecretBytes record(kSize);
  const std::span<std::uint8_t> bytes = record.bytes();
  put(bytes, 0, kEd25519);
  put(bytes, kChecksumKindAt, kBlake2b);
  std::ranges::copy(public_.id, bytes.begin() + kIdAt);
  std::ranges::copy(seed_.bytes(), bytes.begin() + kSeedAt);
  std::ranges::copy(public_.key, bytes.begin() + kPublicAt);
  std::ranges::copy(checksum(bytes), bytes.begin() + kChecksumAt);
  return encode(record, "minisign secret key, not encrypted");
}

SecretBytes SecretKey::to_text(const SecretBytes& password, const ScryptCost& cost) const {
  SecretBytes record = decode(to_text().text(), "a new key");
  const std::span<std::uint8_t> bytes = record.bytes();
  put(bytes, kKdfAt, kScrypt);
  fill_randomly(bytes.subspan(kSaltAt, kSaltSize));
  store(bytes, kOperationsAt, cost.operations);
  store(bytes, kMemoryAt, cost.memory);
  apply_password(bytes.subspan(kSealedAt, kSealedSize), password, bytes.subspan(kSaltAt, kSaltSize), cost);
  return encode(record, "minisign encrypted secret key");
}

bundle::Ed25519Signature SecretKey::sign_raw(std::span<const std::byte> message) const {
  bundle::Ed25519Signature signature{};
  std::size_t size = signature.size();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const KeyHandle key = open_key(seed_);
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, reinterpret_cast<const unsigned char*>(message.data()),
                     message.size()) != 1 ||
      size != signature.size())
    openssl_failed("sign");
  return signature;
}

bundle::Signature SecretKey::sign(std::span<const std::byte> message, const std::string& trusted_comment) const {
  bundle::Signature signature{
      .id = public_.id, .signature = {}, .trusted_comment = trusted_comment, .global_signature = {}};
  const bundle::Blake2bDigest digest = bundle::blake2b(message);
  signature.signature = sign_raw(std::as_bytes(std::span(digest)));
  signature.global_signature = sign_raw(bundle::as_byte_span(bundle::globally_signed(signature)));
  return signature;
}

}  // namespace holdall::packer
