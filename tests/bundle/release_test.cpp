#include "bundle/release.h"

#include "bundle/utc_time.h"
#include "bundle/version_order.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using testing::Bytes;
using testing::Memory;
using testing::open_bytes;

Release release() {
  Release release{.name = "demo",
                  .version = "1.2.0",
                  .archive_bytes = 5000,
                  .archive_digest = sha256({}),
                  .toc_offset = 4000,
                  .toc_size = 500,
                  .toc_digest = sha256({}),
                  .expires = parse_utc("2027-06-30"),
                  .min_version = "1.1.0"};
  return release;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, text.npos) << what;
  return text.replace(at, what.size(), with);
}

void expect_refused(const std::string& json, const std::string& why) {
  try {
    parse_release(json, "x.release.json");
    ADD_FAILURE() << "accepted: " << json;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kTrust);
    EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("x.release.json"), std::string::npos) << error.what();
  }
}

TEST(Release, ReadsWhatItWrites) {
  const std::string json = to_json(release());
  EXPECT_EQ(to_json(parse_release(json, "x")), json);
  EXPECT_NE(json.find(R"("expires": "2027-06-30T00:00:00Z")"), json.npos);
  Release plain = release();
  plain.expires.reset();
  plain.min_version.clear();
  EXPECT_EQ(to_json(plain).find("expires"), std::string::npos);
  EXPECT_EQ(to_json(parse_release(to_json(plain), "x")), to_json(plain));
}

TEST(Release, RefusesMalformedJson) {
  const std::string json = to_json(release());
  expect_refused("", "parse error");
  expect_refused("[]", "expected an object");
  expect_refused(json.substr(0, json.size() / 2), "parse error");
  expect_refused(replaced(json, "\"size\": 5000", "\"size\": -1"), "/archive/size");
  expect_refused(replaced(json, "\"size\": 5000", "\"size\": 4499"), "/toc: it lies outside the archive");
  expect_refused(replaced(json, "\"offset\": 4000", "\"offset\": 18446744073709551615"), "/toc/offset");
  expect_refused(replaced(json, "e3b0", "E3B0"), "/archive/sha256");
  expect_refused(replaced(json, "\"demo\"", "\"../demo\""), "/name");
  expect_refused(replaced(json, "2027-06-30T", "2027-06-31T"), "/expires");
  expect_refused(replaced(json, "\"1.1.0\"", "\"1.10.0\""), "/min_version");
  expect_refused(replaced(json, "\"demo\"", "\"demo\", \"name\": \"other\""), "given twice");
  expect_refused(std::string(100'000, '['), "");
}

TEST(Release, RefusesANewerFormatFirst) {
  expect_refused(R"({"format_version": 2})", "release format 2 is newer than 1: upgrade holdall");
}

TEST(Release, TellsAnArchiveFromTheSignedOne) {
  Bytes archive;
  BundleInfo info;
  info.name = "demo";
  info.version = "1.2.0";
  info.requires_host.arch = "x86_64";
  Writer writer(info, {.threads = 1, .archive_digest = ArchiveDigest::kCompute},
                [&](std::span<const std::byte> data) { archive.insert(archive.end(), data.begin(), data.end()); });
  const WriteSummary summary = writer.finish();
  Release signed_one = release();
  signed_one.archive_bytes = summary.archive_bytes;
  signed_one.archive_digest = *summary.archive_digest;
  signed_one.toc_offset = summary.toc_offset;
  signed_one.toc_size = summary.toc_size;
  signed_one.toc_digest = summary.toc_digest;
  const Reader reader = open_bytes(archive);
  EXPECT_EQ(difference(signed_one, reader), "");
  EXPECT_EQ(archive_digest(Memory(archive)), signed_one.archive_digest);
  Release other = signed_one;
  other.version = "1.2.1";
  EXPECT_EQ(difference(other, reader), "it is demo 1.2.0, signed is demo 1.2.1");
  other = signed_one;
  ++other.archive_bytes;
  EXPECT_NE(difference(other, reader).find("bytes, signed are"), std::string::npos);
  other = signed_one;
  other.toc_digest = sha256({});
  EXPECT_NE(difference(other, reader).find("table of contents"), std::string::npos);

  // A forged table is refused for what it is, before anything parses it.
  std::fill_n(archive.begin() + static_cast<std::ptrdiff_t>(summary.toc_offset), summary.toc_size, std::byte{0x5a});
  const Reader forged = open_bytes(archive);
  EXPECT_NE(difference(signed_one, forged).find("table of contents"), std::string::npos);
  EXPECT_THROW(forged.toc(), Error);
}

TEST(UtcTime, ReadsAndWritesMoments) {
  EXPECT_EQ(parse_utc("1970-01-01"), 0);
  EXPECT_EQ(parse_utc("2026-11-22T21:45:09Z"), 1'795'383'909);
  EXPECT_EQ(parse_utc("2028-02-29"), 1'835'395'200);
  EXPECT_EQ(format_utc(1'795'383'909), "2026-11-22T21:45:09Z");
  for (const char* const text :
       {"", "2027", "2027-02-29", "2027-13-01", "2027-00-01", "2027-1-01x", "2027-06-30T24:00:00Z",
        "2027-06-30T00:00:00", "2027-06-30 00:00:00Z", "2027-06-30T00:00:60Z", "+027-06-30"})
    EXPECT_FALSE(parse_utc(text)) << text;
}

TEST(VersionOrder, IsThatOfSemanticVersioning) {
  const std::vector<std::string> ascending{"0",         "0.9",        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2",
                                           "1.0.0-rc2", "1.0.0-rc10", "1.0.0",       "1.0.1",         "1.2",
                                           "1.2.0",     "1.10.0",     "2",           "2024.06.01",    "2024.6.2"};
  for (std::size_t i = 0; i < ascending.size(); ++i)
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      const int order = compare_release_versions(ascending[i], ascending[j]);
      EXPECT_EQ(order < 0, i < j) << ascending[i] << " " << ascending[j];
      EXPECT_EQ(order > 0, i > j) << ascending[i] << " " << ascending[j];
    }
  EXPECT_EQ(compare_release_versions("1.0+build.7", "1.0+build.8"), 0);
  EXPECT_EQ(compare_release_versions("1.002", "1.2"), 0);
}

}  // namespace
}  // namespace holdall::bundle
