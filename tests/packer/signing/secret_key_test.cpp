#include "packer/signing/secret_key.h"

#include <algorithm>
#include <filesystem>

#include "bundle/base64.h"
#include "bundle/byte_order.h"
#include "bundle/release.h"
#include "packer/signing/key_file.h"
#include "packer/signing/release_files.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::ErrorKind;

constexpr ScryptCost kCheap{.operations = 32768, .memory = 1 << 20};

// Made with minisign 0.11 for these tests. It signs nothing else.
constexpr const char* kPlainKey = R"(untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA9i9I6evrdxzTuAeSbhIvyueGZS/6J1PBcmVtzMCCMkJbmci00F82o3rFWG+vrl0Df0dbWXzID/rlVtCuuc0hi5+L69U+8lafAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
)";

SecretBytes password_of(std::string_view text) {
  SecretBytes password(text.size());
  std::ranges::copy(text, password.bytes().begin());
  return password;
}

SecretBytes no_password() {
  ADD_FAILURE() << "asked for a password";
  return SecretBytes(0);
}

SecretKey parse(std::string_view text) {
  return SecretKey::parse(text, "a.key", no_password);
}

void expect_valid(const SecretKey& key) {
  const std::string message = "a message";
  const bundle::Signature signature = key.sign(bundle::as_byte_span(message), "a comment");
  const bundle::Signature read = bundle::parse_signature(to_text(signature), "s");
  EXPECT_NO_THROW(verify(key.public_key(), read, bundle::as_byte_span(message), "s"));
  EXPECT_THROW(verify(key.public_key(), read, bundle::as_byte_span("another"), "s"), bundle::Error);
}

// The text with one byte of its record changed, and the base64 made again.
std::string damaged(std::string_view text, std::size_t at) {
  const std::size_t line = text.find('\n') + 1;
  auto record = bundle::decode_base64(text.substr(line, text.size() - line - 1)).value();
  record.at(at) ^= std::byte{0x20};
  return std::string(text.substr(0, line)) + bundle::encode_base64(record) + "\n";
}

TEST(SecretKey, SignsAndIsReadAgain) {
  const SecretKey key = SecretKey::generate();
  expect_valid(key);
  const SecretKey again = parse(key.to_text().text());
  EXPECT_EQ(again.public_key().key, key.public_key().key);
  EXPECT_EQ(again.public_key().id, key.public_key().id);
  expect_valid(again);
}

TEST(SecretKey, TakesMinisignsUnencryptedKey) {
  const SecretKey key = parse(kPlainKey);
  EXPECT_EQ(bundle::to_string(key.public_key().id), "1C77EBEBE9482FF6");
  expect_valid(key);
}

TEST(SecretKey, IsEncryptedWithAPassword) {
  const SecretKey key = SecretKey::generate();
  const SecretBytes text = key.to_text(password_of("pass"), kCheap);
  const SecretKey again = SecretKey::parse(text.text(), "a.key", [] { return password_of("pass"); });
  EXPECT_EQ(again.public_key().key, key.public_key().key);
  EXPECT_NE(text.text(), key.to_text(password_of("pass"), kCheap).text()) << "the salt is another each time";
  for (const char* const wrong : {"", "Pass", "pass "}) {
    const Thrown thrown =
        thrown_by([&] { SecretKey::parse(text.text(), "a.key", [&] { return password_of(wrong); }); });
    EXPECT_EQ(thrown.kind, ErrorKind::kTrust);
    EXPECT_TRUE(thrown.says("'a.key': the password is wrong")) << thrown.message;
  }
}

TEST(SecretKey, RefusesDamage) {
  const std::string text(SecretKey::generate().to_text().text());
  const auto refuses = [](const std::string& broken, const std::string& why) {
    const Thrown thrown = thrown_by([&] { parse(broken); });
    EXPECT_TRUE(thrown.thrown) << why;
    EXPECT_EQ(thrown.kind, ErrorKind::kTrust);
    EXPECT_TRUE(thrown.says(why)) << thrown.message;
  };
  refuses("", "is it a minisign secret key?");
  refuses(text.substr(0, 30), "is it a minisign secret key?");
  refuses(text.substr(0, text.size() - 2), "truncated or damaged");
  refuses(text.substr(0, text.find('\n') + 1), "truncated or damaged");
  refuses(text + text, "truncated or damaged");
  refuses(damaged(text, 0), "no Ed25519 key");
  refuses(damaged(text, 2), "how it is encrypted is not known");
  refuses(damaged(text, 4), "checksum is of an unknown kind");
  refuses(damaged(text, 54), "its checksum is wrong");                       // key id
  refuses(damaged(text, 62), "its checksum is wrong");                       // seed
  refuses(damaged(text, 157), "its checksum is wrong");                      // checksum
  refuses(damaged(kPlainKey, 70), "its two halves do not belong together");  // minisign has no checksum there
  refuses(to_text(SecretKey::generate().public_key()), "truncated or damaged");
}

TEST(SecretKey, RefusesACostThatNobodyPays) {
  const SecretBytes text = SecretKey::generate().to_text(password_of("x"), kCheap);
  for (const std::size_t byte : {45U, 53U}) {  // the highest of operations and memory
    const Thrown thrown = thrown_by([&] { parse(damaged(text.text(), byte)); });
    EXPECT_EQ(thrown.kind, ErrorKind::kTrust);
    EXPECT_TRUE(thrown.says("out of bounds")) << thrown.message;
  }
}

TEST(KeyFile, ComesInAPairThatIsNeverReplaced) {
  const TemporaryFolder folder;
  const std::string name = folder.path("release");
  const SecretKey key = SecretKey::generate();
  write_key_pair(name, key.to_text(), to_text(key.public_key()));
  EXPECT_EQ(fs::status(name + ".key").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(load_secret_key(name + ".key").public_key().key, key.public_key().key);
  const std::string before = read_file(name + ".key");

  const auto again = [&] { write_key_pair(name, SecretKey::generate().to_text(), "other"); };
  EXPECT_EQ(thrown_by(again).kind, ErrorKind::kUsage);
  EXPECT_EQ(read_file(name + ".key"), before);
  fs::remove(name + ".key");
  EXPECT_TRUE(thrown_by(again).says("release.pub': it exists"));
  EXPECT_FALSE(fs::exists(name + ".key")) << "half a pair is left";
}

TEST(KeyFile, LeavesNothingInAMissingFolder) {
  const Thrown thrown = thrown_by([] { write_key_pair("/nonexistent/k", SecretBytes(1), "p"); });
  EXPECT_EQ(thrown.kind, ErrorKind::kNotFound);
}

TEST(KeyFile, IsRefusedWhenOthersMayReadIt) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.key", kPlainKey);
  fs::permissions(path, fs::perms(0640));
  const Thrown thrown = thrown_by([&] { load_secret_key(path); });
  EXPECT_EQ(thrown.kind, ErrorKind::kStorage);
  EXPECT_TRUE(thrown.says("others may read or write it (mode 0640)")) << thrown.message;
  fs::permissions(path, fs::perms(0400));
  expect_valid(load_secret_key(path));
  EXPECT_EQ(thrown_by([&] { load_secret_key(folder.root()); }).kind, ErrorKind::kStorage);
  EXPECT_EQ(thrown_by([&] { load_secret_key(folder.path("none")); }).kind, ErrorKind::kNotFound);
}

TEST(ReleaseFiles, AreTheSameEachTimeAndVerify) {
  const SecretKey key = parse(kPlainKey);
  bundle::BundleInfo info;
  info.name = "demo";
  info.version = "1.0";
  bundle::WriteSummary summary;
  summary.archive_bytes = 100;
  summary.archive_digest = bundle::sha256({});
  const ReleaseFiles files = sign_release(info, summary, {.expires = 4'000'000'000, .min_version = "0.9"}, key);
  EXPECT_EQ(files.signature,
            sign_release(info, summary, {.expires = 4'000'000'000, .min_version = "0.9"}, key).signature);
  const bundle::SignedRelease read{files.json, files.signature, "r", "s"};
  EXPECT_EQ(verify_release(read, key.public_key(), 3'999'999'999).min_version, "0.9");
  EXPECT_TRUE(thrown_by([&] { verify_release(read, key.public_key(), 4'000'000'000); }).says("it expired at"));
  bundle::SignedRelease changed = read;
  changed.json.insert(changed.json.find("demo"), "x");
  EXPECT_EQ(thrown_by([&] { verify_release(changed, key.public_key(), 0); }).kind, ErrorKind::kTrust);
}

}  // namespace
}  // namespace holdall::packer
