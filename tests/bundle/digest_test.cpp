#include "bundle/digest.h"

#include "bundle/model_digest.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;

// FIPS 180-2, appendix B.1.
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Digest, IsTheStandardsSha256) {
  EXPECT_EQ(to_hex(sha256(bytes_of("abc"))), kAbc);
  Sha256 parts;
  parts.update(bytes_of("a"));
  parts.update(bytes_of("bc"));
  EXPECT_EQ(to_hex(parts.finish()), kAbc);
}

TEST(Digest, TextFormsGoBothWays) {
  const Digest digest = sha256(bytes_of("abc"));
  EXPECT_EQ(to_string(digest), std::string("sha256:") + kAbc);
  EXPECT_EQ(parse_digest(to_string(digest)), digest);
  EXPECT_EQ(parse_digest(kAbc), digest);
}

TEST(Digest, RefusesWhatIsNoDigest) {
  const std::string hex = kAbc;
  for (const std::string& text : {std::string(), std::string("sha256:"), hex.substr(1), hex + "0", "sha512:" + hex,
                                  "g" + hex.substr(1), "BA" + hex.substr(2), " " + hex.substr(1)}) {
    error_of(ErrorKind::kBadBundle, [&] { parse_digest(text); });
  }
}

TEST(Digest, EmptyChecksumIsTheOneOfSkippableFrames) {
  EXPECT_EQ(xxh64_low32({}), 0x51D8E999u);
}

TEST(ModelDigest, IsThatOfSha256sumsSortedLines) {
  const Digest a = sha256(bytes_of("a")), b = sha256(bytes_of("b"));
  const std::string lines = to_hex(b) + "  B.json\n" + to_hex(a) + "  a/x.safetensors\n";
  EXPECT_EQ(model_digest({{"a/x.safetensors", a}, {"B.json", b}}), sha256(bytes_of(lines)));
}

TEST(ModelDigest, RefusesNamesThatCouldForgeALine) {
  for (const char* name : {"a\nb", "a\\b", "a\rb"}) {
    error_of(ErrorKind::kCannotPack, [&] { model_digest({{name, Digest{}}}); });
  }
  error_of(ErrorKind::kCannotPack, [] { model_digest({{"a", Digest{}}, {"a", Digest{}}}); });
}

}  // namespace
}  // namespace holdall::bundle
