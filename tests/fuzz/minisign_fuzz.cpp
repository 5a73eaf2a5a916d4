// Public keys, signatures and release.json: what a launcher gets from whoever publishes.
#include "bundle/minisign.h"

#include "bundle/release.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace holdall::bundle;
using holdall::fuzz::require;

template <class Parse>
void refuses_only_as_untrusted(Parse parse) {
  holdall::fuzz::refuses_only_as<Error>({ErrorKind::kTrust}, parse);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = holdall::fuzz::text(data, size);
  refuses_only_as_untrusted([&] {
    const std::string written = to_text(parse_public_key(text, "key"));
    require(to_text(parse_public_key(written, "key")) == written);
  });
  refuses_only_as_untrusted([&] {
    const Signature signature = parse_signature(text, "signature");
    const std::string written = to_text(signature);
    require(to_text(parse_signature(written, "signature")) == written);
    verify({.id = signature.id, .key = {}}, signature, std::as_bytes(std::span(data, size)), "signature");
  });
  refuses_only_as_untrusted([&] {
    const std::string written = to_json(parse_release(text, "release"));
    require(to_json(parse_release(written, "release")) == written);
  });
  return 0;
}
