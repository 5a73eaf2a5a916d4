#include "bundle/extract.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>

#include "bundle/prefix_check.h"
#include "bundle/relocation_list.h"
#include "tests/bundle/forgery.h"
#include "tests/support/old_kernel.h"

namespace holdall::bundle {
namespace {

using testing::TemporaryFolder;
namespace fs = std::filesystem;

class Extract : public ::testing::Test {
 protected:
  Extract() { ::mkdir(tree().c_str(), 0700); }
  fs::path tree() const { return temporary_.path() / "tree"; }

  std::vector<InstalledFile> extract_to_tree(const Reader& reader, ExtractOptions options = {}) {
    if (options.prefix.empty()) options.prefix = tree();
    const int fd = ::open(tree().c_str(), O_RDONLY | O_DIRECTORY);
    try {
      auto files = extract(reader, fd, options);
      ::close(fd);
      return files;
    } catch (...) {
      ::close(fd);
      throw;
    }
  }
  std::string read(const std::string& path) const {
    std::ifstream file(tree() / path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  mode_t mode(const std::string& path) const {
    struct stat status {};
    EXPECT_EQ(::lstat((tree() / path).c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  }

  TemporaryFolder temporary_;
};

TEST_F(Extract, WritesEveryMemberWithItsContentsModeAndTime) {
  const auto members = testing::varied_members();
  const auto packed = testing::pack(members, {.threads = 2, .mtime = 1'700'000'000});
  extract_to_tree(testing::open_bytes(packed.archive));
  for (const auto& member : members) {
    const fs::path path = tree() / member.path;
    if (member.type == EntryType::kSymlink) {
      EXPECT_EQ(fs::read_symlink(path), member.contents);
      continue;
    }
    const bool runs = member.executable || member.type == EntryType::kDirectory;
    EXPECT_EQ(mode(member.path), runs ? 0755U : 0644U) << member.path;
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mtime, 1'700'000'000) << member.path;
    if (member.type == EntryType::kRegular) {
      EXPECT_TRUE(read(member.path) == member.contents) << member.path;
    }
  }
}

TEST_F(Extract, ReportsWhatLiesOnTheDisk) {
  const auto packed = testing::pack(testing::varied_members());
  const auto files = extract_to_tree(testing::open_bytes(packed.archive));
  EXPECT_EQ(files.size(), 11U);  // with bundle.json
  for (const InstalledFile& file : files) {
    struct stat status {};
    ASSERT_EQ(::stat((tree() / file.path).c_str(), &status), 0);
    EXPECT_EQ(file.size, static_cast<std::uint64_t>(status.st_size));
    EXPECT_EQ(file.mtime_ns, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec);
    EXPECT_EQ(file.ctime_ns, status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec);
    const std::string contents = read(file.path);
    EXPECT_EQ(file.digest, sha256(std::as_bytes(std::span(contents)))) << file.path;
  }
}

TEST_F(Extract, GivesTheSameTreeWithAnyNumberOfThreads) {
  const auto members = testing::varied_members();
  const auto packed = testing::pack(members);
  for (const unsigned threads : {1U, 3U, 16U}) {
    fs::remove_all(tree());
    ::mkdir(tree().c_str(), 0700);
    ExtractOptions options;
    options.threads = threads;
    extract_to_tree(testing::open_bytes(packed.archive), options);
    for (const auto& member : members) {
      if (member.type != EntryType::kRegular) continue;
      EXPECT_TRUE(read(member.path) == member.contents) << member.path << " with " << threads;
    }
  }
}

TEST_F(Extract, KeepsAFileUnreadableToOthersUntilItIsProven) {
  const auto packed = testing::pack(testing::varied_members());
  ExtractOptions options;
  std::mutex mutex;
  std::map<std::string, mode_t> seen;
  options.before_change = [&](std::string_view call, std::string_view path) {
    const std::lock_guard lock(mutex);
    if (call == "chmod") seen[std::string(path)] = mode(std::string(path));
  };
  extract_to_tree(testing::open_bytes(packed.archive), options);
  EXPECT_EQ(seen.size(), 11U);
  for (const auto& [path, bits] : seen) EXPECT_EQ(bits, 0600U) << path;
}

TEST_F(Extract, RefusesAFlippedBitAnywhereInThePayload) {
  const auto packed = testing::pack({{"data", EntryType::kRegular, testing::noise(3'000'000, 7)}});
  const Reader whole = testing::open_bytes(packed.archive);
  const Entry& entry = whole.toc().entries.back();
  ASSERT_GT(entry.chunks.size(), 1U);
  for (const Chunk& chunk : entry.chunks) {
    fs::remove_all(tree());
    ::mkdir(tree().c_str(), 0700);
    auto broken = packed.archive;
    broken[static_cast<std::size_t>(chunk.frame_offset + chunk.frame_size / 2)] ^= std::byte{0x10};
    const std::string message =
        testing::error_of(ErrorKind::kBadBundle, [&] { extract_to_tree(testing::open_bytes(broken)); });
    EXPECT_NE(message.find("'data'"), std::string::npos) << message;
  }
}

TEST_F(Extract, RefusesATarHeaderThatDiffersFromTheToc) {
  // Both archives have the same layout; the frames of one are put under the table of the other.
  const auto one = testing::pack({{"name-a", EntryType::kRegular, "same"}});
  auto mixed = one.archive;
  const Reader reader = testing::open_bytes(mixed);
  const Frame header = reader.frames().at(2);  // F0, bundle.json, then the header of name-a
  const auto other = testing::pack({{"name-b", EntryType::kRegular, "same"}});
  ASSERT_EQ(testing::open_bytes(other.archive).frames().at(2).size, header.size);
  std::copy_n(other.archive.begin() + static_cast<std::ptrdiff_t>(header.offset), header.size,
              mixed.begin() + static_cast<std::ptrdiff_t>(header.offset));
  testing::error_of(ErrorKind::kBadBundle, [&] { extract_to_tree(testing::open_bytes(mixed)); });
  EXPECT_TRUE(fs::is_empty(tree()));
}

TEST_F(Extract, WritesNothingThroughALinkThatLiesInTheFolder) {
  const fs::path outside = temporary_.path() / "outside";
  fs::create_directory(outside);
  fs::create_directory_symlink(outside, tree() / "lib");
  const auto packed = testing::pack({{"lib", EntryType::kDirectory, {}}, {"lib/file", EntryType::kRegular, "x"}});
  testing::error_of(ErrorKind::kBadBundle, [&] { extract_to_tree(testing::open_bytes(packed.archive)); });
  EXPECT_TRUE(fs::is_empty(outside));
}

TEST_F(Extract, DoesNotOverwriteAFile) {
  std::ofstream(tree() / "file") << "mine";
  const auto packed = testing::pack({{"file", EntryType::kRegular, "theirs"}});
  testing::error_of(ErrorKind::kBadBundle, [&] { extract_to_tree(testing::open_bytes(packed.archive)); });
  EXPECT_EQ(read("file"), "mine");
}

TEST_F(Extract, EndsWhenProgressThrows) {
  const auto packed = testing::pack(testing::varied_members());
  ExtractOptions options;
  options.progress = [](std::uint64_t, std::uint64_t) { throw Error(ErrorKind::kInterrupted, "interrupted"); };
  testing::error_of(ErrorKind::kInterrupted, [&] { extract_to_tree(testing::open_bytes(packed.archive), options); });
}

TEST_F(Extract, ReportsProgressUpToTheWhole) {
  const auto packed = testing::pack(testing::varied_members());
  ExtractOptions options;
  std::uint64_t last = 0, whole = 0;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_GE(done, last);
    last = done;
    whole = total;
  };
  options.threads = 1;
  const auto files = extract_to_tree(testing::open_bytes(packed.archive), options);
  std::uint64_t sum = 0;
  for (const auto& file : files) sum += file.size;
  EXPECT_EQ(last, sum);
  EXPECT_EQ(whole, sum);
}

// A file's digest says nothing about its bytes that its chunks' digests do not, but a record must not hold a wrong one.
TEST_F(Extract, ProvesTheDigestOfAFileOfSeveralChunksForARecordOnly) {
  const std::string contents = testing::noise(5'000'000, 3);
  const auto forged = testing::forge(testing::pack({{"large", EntryType::kRegular, contents}}).archive,
                                     testing::kNoFrames, [](Toc& toc) {
                                       Entry& entry = testing::find(toc, "large");
                                       ASSERT_GT(entry.chunks.size(), 1U);
                                       entry.digest = {};
                                     });
  const std::string message =
      testing::error_of(ErrorKind::kBadBundle, [&] { extract_to_tree(testing::open_bytes(forged)); });
  EXPECT_NE(message.find("'large': the file's digest differs"), std::string::npos) << message;

  fs::remove_all(tree());
  ::mkdir(tree().c_str(), 0700);
  ExtractOptions options;
  options.purpose = ExtractPurpose::kUnpack;
  EXPECT_TRUE(extract_to_tree(testing::open_bytes(forged), options).empty());
  EXPECT_TRUE(read("large") == contents);
}

TEST_F(Extract, RefusesForgedContentsWhateverItIsFor) {
  const auto forged = testing::forge(
      testing::pack({{"large", EntryType::kRegular, testing::noise(5'000'000, 3)}}).archive,
      [](std::vector<testing::Bytes>& frames) { frames.at(4).at(1000) ^= std::byte{1}; }, testing::kNoToc);
  for (const auto purpose : {ExtractPurpose::kInstall, ExtractPurpose::kUnpack}) {
    fs::remove_all(tree());
    ::mkdir(tree().c_str(), 0700);
    ExtractOptions options;
    options.purpose = purpose;
    const std::string message =
        testing::error_of(ErrorKind::kBadBundle, [&] { extract_to_tree(testing::open_bytes(forged), options); });
    EXPECT_NE(message.find("'large': digest differs"), std::string::npos) << message;
  }
}

TEST_F(Extract, SyncsWhatIsInstalledAndNothingElse) {
  const auto packed = testing::pack(testing::varied_members());
  for (const auto purpose : {ExtractPurpose::kInstall, ExtractPurpose::kUnpack}) {
    fs::remove_all(tree());
    ::mkdir(tree().c_str(), 0700);
    ExtractOptions options;
    options.purpose = purpose;
    std::atomic<int> synced = 0;
    options.before_change = [&](std::string_view call, std::string_view) { synced += call == "fsync"; };
    extract_to_tree(testing::open_bytes(packed.archive), options);
    const int files_and_folders = 11 + 7;  // with bundle.json, its folder and '.'
    EXPECT_EQ(synced, purpose == ExtractPurpose::kInstall ? files_and_folders : 0);
  }
}

// One fsync per file, each slower than the unpacking of many files.
TEST_F(Extract, NeedsFewOpenFilesHoweverSlowTheDiskIs) {
  std::vector<testing::Member> members;
  for (int i = 0; i < 400; ++i) members.push_back({std::to_string(i), EntryType::kRegular, "x"});
  const Reader reader = testing::open_bytes(testing::pack(members).archive);
  const tests::OldKernel no_syncfs;
  ExtractOptions options;
  options.threads = 2;
  std::atomic<int> synced = 0;
  options.before_change = [&](std::string_view call, std::string_view) {
    if (call != "fsync") return;
    ++synced;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit limited{.rlim_cur = 128, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limited), 0);
  EXPECT_NO_THROW(extract_to_tree(reader, options));
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(synced, 401 + 2);  // with bundle.json, its folder and '.'
}

class ExtractRelocated : public Extract {
 protected:
  testing::Bytes pack(const std::string& contents, std::vector<Relocation> records) {
    testing::Bytes archive;
    Writer writer(testing::small_info(), {.threads = 1},
                  [&](std::span<const std::byte> data) { archive.insert(archive.end(), data.begin(), data.end()); });
    Entry entry = testing::entry_of({"file", EntryType::kRegular, contents});
    entry.relocations = std::move(records);
    writer.add(entry, testing::source_of(contents));
    writer.finish();
    return archive;
  }
};

TEST_F(ExtractRelocated, PutsThePrefixIntoAText) {
  const std::string hole(kPlaceholder);
  const std::string text = "#!" + hole + "/bin/tool\nroot=" + hole + "\n";
  const auto length = static_cast<std::uint32_t>(hole.size());
  ExtractOptions options;
  options.prefix = "/opt/elsewhere";
  const auto files = extract_to_tree(
      testing::open_bytes(
          pack(text, {{RelocationKind::kText, 2, length, 0}, {RelocationKind::kText, text.rfind(hole), length, 0}})),
      options);
  EXPECT_EQ(read("file"), "#!/opt/elsewhere/bin/tool\nroot=/opt/elsewhere\n");
  EXPECT_EQ(files.back().size, read("file").size());
}

TEST_F(ExtractRelocated, PutsThePrefixIntoABinaryAcrossAChunkBorder) {
  // 6 MB, so that there are several chunks; one string lies across every possible border of the first of them.
  std::string contents = testing::noise(6'000'000, 9);
  const auto plain = testing::pack({{"file", EntryType::kRegular, contents}});
  const std::uint64_t border = testing::open_bytes(plain.archive).toc().entries.back().chunks.at(1).offset;
  const std::string string = std::string(kPlaceholder) + "/share";
  const std::size_t at = static_cast<std::size_t>(border) - 5;
  contents.replace(at, string.size(), string);
  contents[at + string.size()] = '\0';
  ExtractOptions options;
  options.prefix = "/opt/x";
  const Relocation record{RelocationKind::kBinary, at, static_cast<std::uint32_t>(kPlaceholder.size()),
                          static_cast<std::uint32_t>(string.size())};
  const auto files = extract_to_tree(testing::open_bytes(pack(contents, {record})), options);

  std::string expected = contents;
  std::string moved = "/opt/x/share";
  moved.resize(string.size(), '\0');
  expected.replace(at, moved.size(), moved);
  EXPECT_TRUE(read("file") == expected);
  EXPECT_EQ(files.back().digest, sha256(std::as_bytes(std::span(expected))));

  fs::remove_all(tree());
  ::mkdir(tree().c_str(), 0700);
  options.purpose = ExtractPurpose::kUnpack;
  extract_to_tree(testing::open_bytes(pack(contents, {record})), options);
  EXPECT_TRUE(read("file") == expected);
}

// The records of one C string move together: the second place stands elsewhere once the first is written.
TEST_F(ExtractRelocated, PutsThePrefixIntoEveryPlaceOfAString) {
  const std::string hole(kPlaceholder);
  const std::string string = "-L" + hole + "/lib:" + hole + "/x";
  const auto length = static_cast<std::uint32_t>(hole.size());
  const auto size = static_cast<std::uint32_t>(string.size());
  ExtractOptions options;
  options.prefix = "/opt/e";
  extract_to_tree(testing::open_bytes(pack(string + std::string(1, '\0') + "tail",
                                           {{RelocationKind::kBinary, 2, length, size - 2},
                                            {RelocationKind::kBinary, 7 + length, length, size - 7 - length}})),
                  options);
  std::string expected = "-L/opt/e/lib:/opt/e/x";
  expected.resize(string.size() + 1, '\0');
  EXPECT_EQ(read("file"), expected + "tail");
}

TEST_F(ExtractRelocated, RefusesALongPrefixBeforeAnythingIsWritten) {
  const std::string string(kPlaceholder);
  const auto length = static_cast<std::uint32_t>(string.size());
  ExtractOptions options;
  options.prefix = "/" + std::string(length, 'p');
  const std::string message = testing::error_of(ErrorKind::kStorage, [&] {
    extract_to_tree(
        testing::open_bytes(pack(string + std::string(1, '\0'), {{RelocationKind::kBinary, 0, length, length}})),
        options);
  });
  EXPECT_NE(message.find("'file'"), std::string::npos) << message;
  EXPECT_NE(message.find("at most " + std::to_string(length)), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(tree()));
}

class ExtractSelfDescribed : public Extract {
 protected:
  static testing::Bytes pack(const std::string& root, bool executable = false, std::vector<HostLink> links = {}) {
    return testing::relocatable_bundle({.root = root, .executable = executable, .links = std::move(links)});
  }
};

TEST_F(ExtractSelfDescribed, LeavesThePrefixForTheNextRelocation) {
  ExtractOptions options;
  options.prefix = "/opt/a";
  const auto files = extract_to_tree(testing::open_bytes(pack("")), options);
  EXPECT_EQ(read("holdall/prefix"), "/opt/a\n");
  EXPECT_EQ(mode("holdall/prefix"), 0644U);
  for (const InstalledFile& file : files) EXPECT_NE(file.path, "holdall/prefix");  // no member
}

TEST_F(ExtractSelfDescribed, CountsTheArchivesOwnFolderIntoThePrefix) {
  ExtractOptions options;
  options.prefix = "/opt/a";
  extract_to_tree(testing::open_bytes(pack("env")), options);
  EXPECT_EQ(read("env/holdall/prefix"), "/opt/a/env\n");
  EXPECT_EQ(read("env/bin/file"), "#!/opt/a/env/bin/tool\n");
}

TEST_F(ExtractSelfDescribed, RefusesABlankInAFirstLineBeforeAnythingIsWritten) {
  ExtractOptions options;
  options.prefix = "/my files";
  const std::string message =
      testing::error_of(ErrorKind::kStorage, [&] { extract_to_tree(testing::open_bytes(pack("", true)), options); });
  EXPECT_NE(message.find("bin/file"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(tree()));
}

// What is cut off must be seen, although the packed line is longer than the one that will stand there.
TEST_F(ExtractSelfDescribed, RefusesAFirstLineThatStaysTooLongWithAShorterPrefix) {
  ExtractOptions options;
  options.prefix = "/opt";
  const std::string start = "#!/opt/bin/tool";
  const auto pack_with = [&](std::size_t size) {  // of the line that will stand there
    return testing::open_bytes(testing::relocatable_bundle(
        {.executable = true, .arguments = " " + std::string(size - start.size() - 1, 'x')}));
  };
  const std::string message =
      testing::error_of(ErrorKind::kStorage, [&] { extract_to_tree(pack_with(kLongestShebang + 1), options); });
  EXPECT_NE(message.find("bin/file"), std::string::npos) << message;
  extract_to_tree(pack_with(kLongestShebang), options);
  EXPECT_EQ(read("bin/file").size(), kLongestShebang + 1);
}

TEST_F(ExtractSelfDescribed, MakesLinksToTheHostButNotOverAMember) {
  extract_to_tree(testing::open_bytes(pack("", false, {{"bin/python", "/usr/bin/python3"}})));
  EXPECT_EQ(fs::read_symlink(tree() / "bin/python"), "/usr/bin/python3");
  fs::remove_all(tree());
  ::mkdir(tree().c_str(), 0700);
  testing::error_of(ErrorKind::kBadBundle, [&] {
    extract_to_tree(testing::open_bytes(pack("", false, {{"holdall/bundle.json", "/etc/passwd"}})));
  });
}

class ExtractOwnLibc : public Extract {
 protected:
  static constexpr std::uint32_t kRoom = 64;
  static testing::Bytes pack(BundleInfo info) {
    const std::string program = std::string(kRoom, '/') + "/lib64/ld.so" + std::string(1, '\0');
    const std::vector<testing::Member> members{{"bin", EntryType::kDirectory, {}},
                                               {"bin/run", EntryType::kRegular, program, true},
                                               {"env", EntryType::kDirectory, {}},
                                               {"env/lib", EntryType::kDirectory, {}},
                                               {"lib", EntryType::kDirectory, {}},
                                               {"lib/libm.so.6", EntryType::kRegular, "its own"},
                                               {"libc", EntryType::kDirectory, {}},
                                               {"libc/ld-x.so.1", EntryType::kRegular, "loader", true},
                                               {"libc/ld.so", EntryType::kSymlink, "ld-x.so.1"},
                                               {"libc/libc.so.6", EntryType::kRegular, "libc"},
                                               {"libc/libm.so.6", EntryType::kRegular, "libm"}};
    testing::Bytes archive;
    Writer writer(info, {.threads = 2},
                  [&](std::span<const std::byte> data) { archive.insert(archive.end(), data.begin(), data.end()); });
    for (const testing::Member& member : members) {
      Entry entry = testing::entry_of(member);
      if (member.path == "bin/run") entry.relocations = {{RelocationKind::kInterpreter, 0, kRoom, kRoom}};
      writer.add(entry, testing::source_of(member.contents));
    }
    writer.finish();
    return archive;
  }
  static BundleInfo info_with_libc() {
    BundleInfo info = testing::small_info();
    info.requires_host.libc = BundledLibc{"2.36", "libc/ld-x.so.1", {"env/lib", "lib", "libc"}};
    return info;
  }
};

TEST_F(ExtractOwnLibc, LeadsProgramsToTheLoaderAndItsLibraries) {
  ExtractOptions options;
  options.prefix = "/opt/a";
  options.libc = LibcChoice::kBundled;
  extract_to_tree(testing::open_bytes(pack(info_with_libc())), options);
  EXPECT_STREQ(read("bin/run").c_str(), "/opt/a/libc/ld.so");
  EXPECT_EQ(fs::read_symlink(tree() / "env/lib/libc.so.6"), "../../libc/libc.so.6");
  EXPECT_EQ(fs::read_symlink(tree() / "env/lib/libm.so.6"), "../../libc/libm.so.6");
  EXPECT_EQ(fs::read_symlink(tree() / "lib/libc.so.6"), "../libc/libc.so.6");
  EXPECT_EQ(read("lib/libm.so.6"), "its own");  // a member stays what it is
  EXPECT_FALSE(fs::exists(fs::symlink_status(tree() / "lib/ld-x.so.1")));
}

TEST_F(ExtractOwnLibc, LeavesItAloneWhereTheHostsIsChosen) {
  ExtractOptions options;
  options.prefix = "/opt/" + std::string(2 * kRoom, 'a');  // which the own loader's path would not fit behind
  const auto files = extract_to_tree(testing::open_bytes(pack(info_with_libc())), options);
  EXPECT_EQ(read("bin/run"), std::string(kRoom, '/') + "/lib64/ld.so" + std::string(1, '\0'));
  EXPECT_FALSE(fs::exists(fs::symlink_status(tree() / "lib/libc.so.6")));
  const auto run = std::ranges::find(files, "bin/run", &InstalledFile::path);
  ASSERT_NE(run, files.end());
  const std::string found = read("bin/run");
  EXPECT_EQ(run->digest, sha256(std::as_bytes(std::span(found))));
}

TEST_F(ExtractOwnLibc, IsRefusedWithoutOneAndWithoutRoomBeforeAnythingIsWritten) {
  ExtractOptions options;
  options.prefix = "/opt/a";
  options.libc = LibcChoice::kBundled;
  testing::error_of(ErrorKind::kUsage,
                    [&] { extract_to_tree(testing::open_bytes(pack(testing::small_info())), options); });
  options.prefix = "/opt/" + std::string(kRoom, 'a');
  const std::string message = testing::error_of(
      ErrorKind::kStorage, [&] { extract_to_tree(testing::open_bytes(pack(info_with_libc())), options); });
  EXPECT_NE(message.find("bin/run"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(tree()));
}

}  // namespace
}  // namespace holdall::bundle
