#include "runtime/service/digest.h"

#include <sys/random.h>

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

std::string random_hex(int bytes) {
  std::vector<unsigned char> raw(static_cast<std::size_t>(bytes));
  if (::getrandom(raw.data(), raw.size(), 0) != bytes) throw Error(ErrorKind::kInternal, "cannot read random bytes");
  return hex(raw.data(), raw.size());
}

}  // namespace holdall::runtime::service
