#include "runtime/service/edits/edit_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "harness.h"
#include "runtime/error.h"

namespace holdall::runtime::service {
namespace {

std::vector<std::byte> bytes(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

struct EditArchive : ::testing::Test {
  const testing::Folder folder;
  const std::filesystem::path file = folder / "f";
};

TEST_F(EditArchive, GivesAFormBackAsItWas) {
  for (const bool masked : {true, false}) {
    EditForm form;
    form.fields = {{"prompt", "把天空变蓝\n\"quoted\""}, {"seed", "18446744073709551615"}};
    form.images = {bytes(std::string("a\0b", 3)), bytes("second")};
    if (masked) form.mask = bytes("mask");
    write_form(file, form);
    const EditForm back = read_form(file);
    EXPECT_EQ(back.fields, form.fields);
    EXPECT_EQ(back.images, form.images);
    EXPECT_EQ(back.mask, form.mask);
  }
}

TEST_F(EditArchive, HoldsFieldsOfAnySizeThatAFormMayHave) {
  EditForm form;
  for (const char* name : {"prompt", "negative_prompt", "user"}) form.fields[name] = std::string(256 << 10, '\x01');
  form.images = {bytes("a")};
  write_form(file, form);
  EXPECT_EQ(read_form(file).fields, form.fields);
}

TEST_F(EditArchive, GivesAResultBackAsItWas) {
  EditResult result;
  result.pictures = {{bytes("one"), 64, 32, 4, UINT64_MAX}, {bytes("two"), 16, 48, 5, 0}};
  result.tokens = {12, 34};
  result.seconds = {0.5, 1, 2, 3, 4};
  result.created = 1'700'000'000;
  result.format = "webp";
  write_result(file, result, Durability::kPowerCut);
  const EditResult back = read_result(file);
  ASSERT_EQ(back.pictures.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back.pictures[i].bytes, result.pictures[i].bytes);
    EXPECT_EQ(back.pictures[i].width, result.pictures[i].width);
    EXPECT_EQ(back.pictures[i].height, result.pictures[i].height);
    EXPECT_EQ(back.pictures[i].steps, result.pictures[i].steps);
    EXPECT_EQ(back.pictures[i].seed, result.pictures[i].seed);
  }
  EXPECT_EQ(back.tokens.text, 12);
  EXPECT_EQ(back.tokens.pictures, 34);
  EXPECT_EQ(back.seconds.queue, 0.5);
  EXPECT_EQ(back.seconds.encode, 4);
  EXPECT_EQ(back.created, result.created);
  EXPECT_EQ(back.format, "webp");
}

TEST_F(EditArchive, IsReadableByItsOwnerOnly) {
  write_form(file, {{{"prompt", "p"}}, {bytes("a")}, {}});
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(EditArchive, RefusesWhatIsCutOffOrSomethingElse) {
  write_form(file, {{{"prompt", "p"}}, {bytes("a picture")}, {}});
  EXPECT_THROW(read_result(file), Error);
  const std::string whole = folder.read("f");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    folder.write("f", whole.substr(0, size));
    EXPECT_THROW(read_form(file), Error) << size;
  }
  folder.write("f", "noise, and a lot of it");
  EXPECT_THROW(read_form(file), Error);
  EXPECT_THROW(read_form(folder / "none"), Error);
}

}  // namespace
}  // namespace holdall::runtime::service
