#include "runtime/files/sha256.h"

#include <openssl/evp.h>

#include <array>

#include "runtime/error.h"

namespace holdall::runtime::files {

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    throw Error(ErrorKind::kInternal, "cannot compute a sha256");
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out.push_back(kDigits[digest.at(i) >> 4]);
    out.push_back(kDigits[digest.at(i) & 15]);
  }
  return out;
}

}  // namespace holdall::runtime::files
