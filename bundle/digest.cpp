#include "bundle/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include "bundle/error.h"

namespace holdall::bundle {

namespace {

// The built-in sha256. The host's openssl.cnf is not read: it may activate providers from shared objects, and a static
// program must not load those. Fetched once, as each EVP_sha256() would look it up again.
const EVP_MD* algorithm() {
  static const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> md = [] {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    return std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)>(EVP_MD_fetch(nullptr, "SHA2-256", nullptr), &EVP_MD_free);
  }();
  return md.get();
}

}  // namespace

struct Sha256::Context {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> evp{EVP_MD_CTX_new()};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (!context_->evp || algorithm() == nullptr || EVP_DigestInit_ex(context_->evp.get(), algorithm(), nullptr) != 1) {
    throw Error(ErrorKind::kInternal, "cannot start a sha256: openssl failed");
  }
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> data) {
  if (EVP_DigestUpdate(context_->evp.get(), data.data(), data.size()) != 1) {
    throw Error(ErrorKind::kInternal, "cannot go on with a sha256: openssl failed");
  }
}

Digest Sha256::finish() {
  Digest digest{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(context_->evp.get(), digest.data(), &length) != 1 || length != digest.size()) {
    throw Error(ErrorKind::kInternal, "cannot finish a sha256: openssl failed");
  }
  return digest;
}

Digest sha256(std::span<const std::byte> data) {
  Sha256 hash;
  hash.update(data);
  return hash.finish();
}

std::string to_hex(const Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * digest.size());
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string to_string(const Digest& digest) {
  return "sha256:" + to_hex(digest);
}

Digest parse_digest(std::string_view text) {
  const std::string_view original = text;
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  Digest digest{};
  const auto bad = [&] {
    return Error(ErrorKind::kBadBundle, "bad digest '" + std::string(original.substr(0, 80)) +
                                            "': expected 'sha256:' and 64 lower-case hex digits");
  };
  if (text.size() != 2 * digest.size()) throw bad();
  const auto nibble = [&](char c) -> unsigned {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    throw bad();
  };
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::uint8_t>(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
  }
  return digest;
}

std::uint32_t xxh64_low32(std::span<const std::byte> data) {
  return static_cast<std::uint32_t>(XXH64(data.data(), data.size(), 0));
}

}  // namespace holdall::bundle
