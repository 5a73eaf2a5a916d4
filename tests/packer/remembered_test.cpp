#include "packer/remembered.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/bundle/bundle_fixture.h"

namespace holdall::packer {
namespace {

using bundle::testing::error_of;
using bundle::testing::TemporaryFolder;

class RememberedFiles : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  std::string write(const std::string& name, const std::string& contents) const {
    std::ofstream(path(name)) << contents;
    return path(name);
  }

  RememberedFile old_file(const std::string& source) const {
    RememberedFile file{.identity = identity_of(source).value()};
    file.elf = true;
    file.original = file.packed = bundle::sha256({});
    file.chunks = {{.size = 5, .digest = file.packed, .zeros = true, .frame = file.packed}, {.size = 6}};
    return file;
  }

  // A pack, some time after the files were written.
  Remembered next(std::int64_t seconds = 60) const {
    Remembered remembered(path("notes"), wall_clock_ns() + seconds * 1'000'000'000);
    remembered.depend_on("prefix", "/a");
    return remembered;
  }

  void remember(const std::string& source, std::int64_t seconds_after = 60) const {
    Remembered remembered = next(seconds_after);
    remembered.note(source, old_file(source));
    remembered.save();
  }

  TemporaryFolder folder_;
};

TEST_F(RememberedFiles, ComeBackAsTheyWere) {
  const std::string source = write("file \"quoted\"", "hello");
  remember(source);
  const Remembered remembered = next();
  const RememberedFile* const found = remembered.find(source);
  ASSERT_NE(found, nullptr);
  const RememberedFile wanted = old_file(source);
  EXPECT_EQ(found->identity, wanted.identity);
  EXPECT_EQ(found->original, wanted.original);
  EXPECT_TRUE(found->elf);
  ASSERT_EQ(found->chunks.size(), 2u);
  EXPECT_EQ(found->chunks[0].size, 5u);
  EXPECT_TRUE(found->chunks[0].zeros);
  EXPECT_EQ(found->chunks[0].frame, wanted.packed);
  EXPECT_EQ(remembered.find(path("other")), nullptr);
}

// Each way to change a file that leaves its size, and those that put its time back.
TEST_F(RememberedFiles, AreForgottenWhenTheyChange) {
  const auto changes = std::vector<std::function<void(const std::string&)>>{
      [](const std::string& file) { std::ofstream(file) << "hallo"; },
      [](const std::string& file) {
        struct stat before {};
        ASSERT_EQ(::stat(file.c_str(), &before), 0);
        std::ofstream(file) << "hallo";
        const timespec times[] = {before.st_atim, before.st_mtim};
        ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
      },
      [](const std::string& file) {
        struct stat before {};
        ASSERT_EQ(::stat(file.c_str(), &before), 0);
        std::ofstream(file + ".new") << "hallo";
        const timespec times[] = {before.st_atim, before.st_mtim};
        ASSERT_EQ(::utimensat(AT_FDCWD, (file + ".new").c_str(), times, 0), 0);
        std::filesystem::rename(file + ".new", file);
      },
      [](const std::string& file) { std::filesystem::remove(file); }};
  std::vector<std::string> sources;
  for (std::size_t i = 0; i < changes.size(); ++i) sources.push_back(write(std::to_string(i), "hello"));
  Remembered first = next();
  for (const std::string& source : sources) first.note(source, old_file(source));
  first.save();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    ASSERT_NE(next().find(sources[i]), nullptr) << i;
    changes[i](sources[i]);
    EXPECT_EQ(next().find(sources[i]), nullptr) << i;
  }
}

// A change in the same tick of the clock would not show.
TEST_F(RememberedFiles, AreNotThoseWrittenJustNow) {
  const std::string source = write("file", "hello");
  remember(source, 0);
  EXPECT_EQ(next().find(source), nullptr);
  remember(source, 5);
  EXPECT_NE(next().find(source), nullptr);
}

TEST_F(RememberedFiles, AreForgottenWhenWhatTheyDependOnChanges) {
  const std::string source = write("file", "hello");
  remember(source);
  ASSERT_NE(next().find(source), nullptr);
  Remembered other(path("notes"));
  other.depend_on("prefix", "/b");
  EXPECT_EQ(other.find(source), nullptr);
  Remembered more = next();
  more.depend_on("something new", "");
  EXPECT_EQ(more.find(source), nullptr);
}

TEST_F(RememberedFiles, AreNotReadFromAFileThatIsSomethingElse) {
  const auto refusal = [&](const std::string& contents) {
    write("notes", contents);
    EXPECT_THAT(error_of(bundle::ErrorKind::kUsage, [&] { const Remembered remembered(path("notes")); }),
                ::testing::HasSubstr("is not what --remember has written"))
        << contents;
  };
  for (const std::string contents :
       {"", "{}", "{\"name\": \"a manifest\"}", "[", "\xFF\xFE", "{\"holdall-pack remembers\":2}",
        "{\"holdall-pack remembers\":\"2\"}", "{\"archive\":null,\"depends\":{},\"holdall-pack remembers\":2}",
        "{\"archive\":[1],\"depends\":{},\"holdall-pack remembers\":2}\n",
        "{\"archive\":null,\"depends\":{},\"holdall-pack remembers\":2}\n[]"}) {
    refusal(contents);
  }
  write("notes", "{\"holdall-pack remembers\":3}");  // a newer version's: written anew
  EXPECT_EQ(next().find("x"), nullptr);
}

TEST_F(RememberedFiles, AreRefusedWhereverTheNotesEnd) {
  const std::string source = write("file", "hello");
  remember(source);
  const auto whole = static_cast<std::size_t>(std::filesystem::file_size(path("notes")));
  const std::string notes = read_whole(path("notes"), whole);
  const std::size_t head = notes.find('\n') + 1;
  for (std::size_t size = head + 1; size < whole; ++size) {
    write("notes", notes.substr(0, size));
    error_of(bundle::ErrorKind::kUsage, [&] { const Remembered remembered(path("notes")); });
  }
  write("notes", notes);
  EXPECT_NE(next().find(source), nullptr);
}

TEST_F(RememberedFiles, ComeWithTheArchiveThatWasWritten) {
  const std::string archive = write("archive", "hello");
  EXPECT_FALSE(next().is_as_written(archive));
  Remembered first = next();
  first.note_archive(archive);
  first.save();
  EXPECT_TRUE(next().is_as_written(archive));
  EXPECT_FALSE(next().is_as_written(write("other", "hello")));
  struct stat before {};
  ASSERT_EQ(::stat(archive.c_str(), &before), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the kernel's clock ticks
  write("archive", "hallo");
  const timespec times[] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, archive.c_str(), times, 0), 0);
  EXPECT_FALSE(next().is_as_written(archive));
}

}  // namespace
}  // namespace holdall::packer
