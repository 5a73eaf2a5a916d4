#include "packer/output/format.h"

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::ErrorKind;

TEST(Format, IsToldByTheNameOfTheOutput) {
  const auto inferred = [](const char* output) {
    return std::string(traits_of(choose_format("infer", output, Format::kTarZst).format).name);
  };
  EXPECT_EQ(inferred("a.tar.zst"), "tar.zst");
  EXPECT_EQ(inferred("a.tzst"), "tar.zst");
  EXPECT_EQ(inferred("b/a.tar.gz"), "tar.gz");
  EXPECT_EQ(inferred("a.tgz"), "tar.gz");
  EXPECT_EQ(inferred("a.tar.bz2"), "tar.bz2");
  EXPECT_EQ(inferred("a.tbz2"), "tar.bz2");
  EXPECT_EQ(inferred("a.tar.xz"), "tar.xz");
  EXPECT_EQ(inferred("a.txz"), "tar.xz");
  EXPECT_EQ(inferred("a.tar"), "tar");
  EXPECT_EQ(inferred("a.zip"), "zip");
  EXPECT_EQ(inferred("a.squashfs"), "squashfs");
  EXPECT_EQ(inferred("a.no-archive"), "no-archive");
  EXPECT_EQ(inferred("a.no-archive/"), "no-archive");
}

TEST(Format, IsTheFallbackWithoutAnOutput) {
  EXPECT_EQ(choose_format("infer", "", Format::kTarZst).suffix, "tar.zst");
  EXPECT_EQ(choose_format("infer", "", Format::kTarGz).suffix, "tar.gz");
}

// conda-pack names `--format tgz` NAME.tgz.
TEST(Format, KeepsTheSpellingForTheDefaultName) {
  EXPECT_EQ(choose_format("tgz", "", Format::kTarZst).suffix, "tgz");
  EXPECT_EQ(choose_format("tgz", "", Format::kTarZst).format, Format::kTarGz);
}

TEST(Format, IsAsAskedForWhateverTheOutputIsCalled) {
  EXPECT_EQ(choose_format("zip", "a.tar.gz", Format::kTarZst).format, Format::kZip);
  EXPECT_EQ(choose_format("tar.xz", "a", Format::kTarZst).format, Format::kTarXz);
}

TEST(Format, IsRefusedWhereItCannotBeToldOrIsNotOffered) {
  for (const char* output : {"a", "a.bin", "a.gz", "tar.gz", "a.tar.gz.part", "a.7z"}) {
    EXPECT_TRUE(thrown_by([&] { choose_format("infer", output, Format::kTarZst); }).says("give --format")) << output;
  }
  EXPECT_EQ(thrown_by([&] { choose_format("7z", "", Format::kTarZst); }).kind, ErrorKind::kUsage);
  EXPECT_EQ(thrown_by([&] { choose_format("", "a.zip", Format::kTarZst); }).kind, ErrorKind::kUsage);
  EXPECT_TRUE(thrown_by([&] { choose_format("parcel", "", Format::kTarZst); }).says("'parcel' is not offered"));
  EXPECT_TRUE(thrown_by([&] { choose_format("tar.gz", "a.parcel", Format::kTarZst); }).says("'parcel' is not offered"));
}

TEST(Format, HasLevelsOfItsOwn) {
  EXPECT_EQ(level_of(Format::kTarZst, {}), 3);
  EXPECT_EQ(level_of(Format::kTarZst, 19), 19);
  EXPECT_EQ(level_of(Format::kTarGz, {}), 4);
  EXPECT_EQ(level_of(Format::kTarGz, 0), 0);
  EXPECT_EQ(level_of(Format::kTar, 9), 9);
  EXPECT_TRUE(thrown_by([] { level_of(Format::kTarZst, 0); }).says("must be 1 to 19 for tar.zst"));
  EXPECT_TRUE(thrown_by([] { level_of(Format::kTarGz, 10); }).says("must be 0 to 9 for tar.gz"));
  EXPECT_TRUE(thrown_by([] { level_of(Format::kTarBz2, 0); }).says("must be 1 to 9 for tar.bz2"));
}

}  // namespace
}  // namespace holdall::packer
