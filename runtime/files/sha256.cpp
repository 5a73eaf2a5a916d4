#include "runtime/files/sha256.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "runtime/error.h"
#include "runtime/files/files.h"

namespace holdall::runtime::files {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new()) {
    require(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void add(std::string_view bytes) { require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1); }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    require(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (unsigned int i = 0; i < size; ++i) {
      out.push_back(kDigits[digest.at(i) >> 4]);
      out.push_back(kDigits[digest.at(i) & 15]);
    }
    return out;
  }

 private:
  static void require(bool done) {
    if (!done) throw Error(ErrorKind::kInternal, "cannot compute a sha256");
  }
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  Digest digest;
  digest.add(bytes);
  return digest.hex();
}

std::string file_sha256_hex(const std::filesystem::path& file) {
  const ReadOnly opened(file);
  std::vector<char> piece(kPiece);
  Digest digest;
  while (true) {
    const ssize_t size = ::read(opened.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) failed("read", file, errno);
    if (size == 0) return digest.hex();
    digest.add({piece.data(), static_cast<std::size_t>(size)});
  }
}

}  // namespace holdall::runtime::files
