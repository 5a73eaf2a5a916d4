#include "bundle/minisign.h"

#include "bundle/base64.h"
#include "bundle/byte_order.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

// Made with minisign 0.11, over "hi\n"; the secret key is gone.
constexpr const char* kPublicKey = R"(untrusted comment: minisign public key 1C77EBEBE9482FF6
RWT2L0jp6+t3HHrFWG+vrl0Df0dbWXzID/rlVtCuuc0hi5+L69U+8laf
)";
constexpr const char* kSignature = R"(untrusted comment: signature from minisign secret key
RUT2L0jp6+t3HJIl8YPLuNpuSzoVkjrHbYCnCb/0YUAtmvMp4WIR8C+phdiqQMxTHuVN0mVBYBGZ2C7XhdQJfs9mhkd5XZ7mGA0=
trusted comment: timestamp:1795384142	file:m	hashed
K7FzjdUV6XjafhYGhaKyvOdx3ASRPMNBzi7K5LdAEj3V37KauFxZrY9xuXxxmsafGSeTD4bNUDZxXdnZm2+/Cw==
)";
constexpr const char* kLegacySignature = R"(untrusted comment: signature from minisign secret key
RWT2L0jp6+t3HFUAe9vUKgLRpfri28asUp9JF/oK0I6FT2m+ZmiEPOkPVOoZZgVKt/eEiQkDHPTFMODkxAtw7N/m3GOho761LQA=
trusted comment: timestamp:1795384142	file:m
54f5mJx0oogzgqfUijfnSbnWaAmFBbvI6NV3bdO9OUdZf0KRtts78nism6hu3D2jQbgihsPqreQlaxupHc1jCA==
)";

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, text.npos) << what;
  return text.replace(at, what.size(), with);
}

void verify_text(const std::string& signature, const std::string& message, const std::string& key = kPublicKey) {
  verify(parse_public_key(key, "k.pub"), parse_signature(signature, "s.minisig"), as_byte_span(message), "s.minisig");
}

void expect_refused(const std::string& signature, const std::string& why, const std::string& message = "hi\n") {
  try {
    verify_text(signature, message);
    ADD_FAILURE() << "accepted: " << signature;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kTrust);
    EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("s.minisig"), std::string::npos) << error.what();
  }
}

TEST(Minisign, VerifiesWhatMinisignSigned) {
  EXPECT_NO_THROW(verify_text(kSignature, "hi\n"));
  EXPECT_EQ(parse_signature(kSignature, "s").trusted_comment, "timestamp:1795384142\tfile:m\thashed");
  EXPECT_EQ(to_string(parse_public_key(kPublicKey, "k").id), "1C77EBEBE9482FF6");
}

TEST(Minisign, TakesAKeyWithoutItsCommentAndLinesThatEndAsInWindows) {
  EXPECT_NO_THROW(verify_text(kSignature, "hi\n", "RWT2L0jp6+t3HHrFWG+vrl0Df0dbWXzID/rlVtCuuc0hi5+L69U+8laf"));
  std::string windows = kSignature;
  for (std::size_t at = 0; (at = windows.find('\n', at)) != windows.npos; at += 2) windows.insert(at, 1, '\r');
  EXPECT_NO_THROW(verify_text(windows, "hi\n"));
}

TEST(Minisign, WritesWhatItReads) {
  const PublicKey key = parse_public_key(kPublicKey, "k");
  EXPECT_EQ(to_text(key), kPublicKey);
  const std::string again = to_text(parse_signature(kSignature, "s"));
  EXPECT_NO_THROW(verify_text(again, "hi\n"));
}

TEST(Minisign, RefusesAChangedFile) {
  expect_refused(kSignature, "has been changed", "hi!\n");
  expect_refused(kSignature, "has been changed", "");
}

TEST(Minisign, RefusesAChangedTrustedComment) {
  expect_refused(replaced(kSignature, "file:m", "file:n"), "its trusted comment has been changed");
}

TEST(Minisign, RefusesAnotherKey) {
  expect_refused(replaced(kSignature, "RUT2L0jp6+t3H", "RUT2L0jp6+t4H"),
                 "signed with key 1C78EBEBE9482FF6, not with 1C77EBEBE9482FF6");
}

TEST(Minisign, RefusesALegacySignature) {
  expect_refused(kLegacySignature, "legacy signature");
  // The same, called hashed: the signature is over other bytes.
  expect_refused(replaced(kLegacySignature, "RWT2", "RUT2"), "has been changed");
}

TEST(Minisign, RefusesWhatIsNoSignature) {
  expect_refused("", "ends after 0 of 4 lines");
  expect_refused(std::string(kSignature).substr(0, 100), "ends after 2 of 4 lines");
  expect_refused(std::string(kSignature) + "more\n", "more than 4 lines");
  expect_refused(replaced(kSignature, "untrusted comment:", "comment:"), "does not begin with 'untrusted comment: '");
  expect_refused(replaced(kSignature, "\ntrusted comment:", "\nuntrusted comment:"),
                 "does not begin with 'trusted comment: '");
  expect_refused(replaced(kSignature, "RUT2L0jp6", "RUT2L0jp 6"), "not base64 of its size");
  expect_refused(replaced(kSignature, "Z7mGA0=", "Z7mGA1="), "not base64 of its size");  // stray bits
  expect_refused(replaced(kSignature, "RUT2", "QUT2"), "its algorithm is not known");
  expect_refused(replaced(kSignature, "file:m", "file:\x1b[2J"), "control characters");
  expect_refused(replaced(kSignature, "file:m", std::string(9000, 'm')), "too long");
  expect_refused(std::string(1 << 20, '\n'), "does not begin with");
  expect_refused(std::string("\0\0\0\n", 4) + kSignature, "more than 4 lines");
}

TEST(Minisign, RefusesWhatIsNoPublicKey) {
  for (const std::string& text : {std::string(), std::string("untrusted comment: x\n"), std::string(kSignature),
                                  replaced(kPublicKey, "RWT2", "RUT2"), std::string(kPublicKey).substr(0, 100)}) {
    EXPECT_THROW(parse_public_key(text, "k.pub"), Error) << text;
  }
}

// RFC 7693, appendix A.
TEST(Minisign, HashesAsTheStandardSays) {
  const Blake2bDigest digest = blake2b(as_byte_span("abc"));
  EXPECT_EQ(encode_base64(std::as_bytes(std::span(digest)).first(6)),
            encode_base64(as_byte_span("\xba\x80\xa5\x3f\x98\x1c")));
}

TEST(Base64, GoesBothWays) {
  for (const char* const text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    const auto bytes = decode_base64(encode_base64(as_byte_span(text)));
    ASSERT_TRUE(bytes);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()), text);
  }
  EXPECT_EQ(encode_base64(as_byte_span("foob")), "Zm9vYg==");
}

TEST(Base64, TakesNothingElse) {
  for (const char* const text :
       {"Zg", "Zg=", "Zh==", "Z===", "====", "Zm9v\n", " Zm9v", "Zm9vZg==Zm9v", "Zm-v", "Zm9vY"})
    EXPECT_FALSE(decode_base64(text)) << text;
}

}  // namespace
}  // namespace holdall::bundle
