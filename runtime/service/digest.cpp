#include "runtime/service/digest.h"

#include <openssl/evp.h>
#include <sys/random.h>

#include <array>
#include <vector>

#include "runtime/error.h"

namespace holdall::runtime::service {
namespace {

std::string hex(const unsigned char* bytes, std::size_t size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < size; ++i) {
    out.push_back(kDigits[bytes[i] >> 4]);
    out.push_back(kDigits[bytes[i] & 15]);
  }
  return out;
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    throw Error(ErrorKind::kInternal, "cannot compute a sha256");
  return hex(digest.data(), size);
}

std::string random_hex(int bytes) {
  std::vector<unsigned char> raw(static_cast<std::size_t>(bytes));
  if (::getrandom(raw.data(), raw.size(), 0) != bytes) throw Error(ErrorKind::kInternal, "cannot read random bytes");
  return hex(raw.data(), raw.size());
}

}  // namespace holdall::runtime::service
