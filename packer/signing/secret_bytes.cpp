#include "packer/signing/secret_bytes.h"

#include <openssl/crypto.h>

#include <new>
#include <utility>

namespace holdall::packer {
namespace {

constexpr std::size_t kHeap = 64 * 1024, kSmallest = 32;  // powers of two

}  // namespace

SecretBytes::SecretBytes(std::size_t size) : size_(size) {
  // Without a secure heap (no memory may be locked), OpenSSL allocates as usual and still wipes.
  [[maybe_unused]] static const int heap = CRYPTO_secure_malloc_init(kHeap, kSmallest);
  data_ = static_cast<std::uint8_t*>(OPENSSL_secure_zalloc(size == 0 ? 1 : size));
  if (data_ == nullptr) throw std::bad_alloc();
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SecretBytes::~SecretBytes() {
  OPENSSL_secure_clear_free(data_, size_ == 0 ? 1 : size_);
}

}  // namespace holdall::packer
