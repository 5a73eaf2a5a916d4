#include "bundle/base64.h"

#include <openssl/evp.h>

#include <algorithm>
#include <climits>

#include "bundle/error.h"

namespace holdall::bundle {

std::string encode_base64(std::span<const std::byte> bytes) {
  if (bytes.size() > INT_MAX / 2) throw Error(ErrorKind::kInternal, "too much to encode in base64");
  std::vector<unsigned char> text(4 * ((bytes.size() + 2) / 3) + 1);  // OpenSSL adds a NUL
  const int size = EVP_EncodeBlock(text.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size)};
}

std::optional<std::vector<std::byte>> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > INT_MAX / 2) return std::nullopt;
  if (text.empty()) return std::vector<std::byte>();
  std::vector<std::byte> bytes(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // It counts the padding as zero bytes, and forgives blanks and stray bits: what it made must give the text again.
  const auto padding = static_cast<std::size_t>(std::ranges::count(text.substr(text.size() - 2), '='));
  if (static_cast<std::size_t>(size) != bytes.size()) return std::nullopt;
  bytes.resize(bytes.size() - padding);
  if (encode_base64(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace holdall::bundle
