// A minisign secret key. Passwords are left out: scrypt's cost is the file's to choose.
#include "packer/signing/secret_key.h"

#include "tests/fuzz/fuzz.h"

namespace {

struct Asked {};  // for a password

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  try {
    return fuzz::refuses_only_as<bundle::Error>({bundle::ErrorKind::kTrust}, [&] {
      const auto key =
          packer::SecretKey::parse(fuzz::text(data, size), "key", []() -> packer::SecretBytes { throw Asked(); });
      const packer::SecretBytes written = key.to_text();
      fuzz::require(packer::SecretKey::parse(written.text(), "key", {}).to_text().text() == written.text());
    });
  } catch (const Asked&) {
    return 0;
  }
}
