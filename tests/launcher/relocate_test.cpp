#include "launcher/relocate.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>

#include "bundle/error.h"
#include "bundle/relocation_list.h"
#include "tests/support/old_kernel.h"
#include "tests/support/temporary_folder.h"

namespace holdall::launcher {
namespace {

namespace fs = std::filesystem;
using bundle::ErrorKind;
using bundle::Relocation;
using bundle::RelocationKind;
using bundle::TextEncoding;
using ::testing::HasSubstr;

const std::string kHeld(bundle::kPlaceholder);
const auto kHeldSize = static_cast<std::uint32_t>(kHeld.size());

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A tree as plain tar writes it: texts, a binary with two places in one string, UTF-16, and a file without any.
class Relocate : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kRoom = 60;
  static constexpr std::uint32_t kPlace = (1 << 20) - 70;  // across the border of two blocks

  Relocate() {
    add("bin/tool", "#!" + kHeld + "/bin/perl\nprint '" + kHeld + "';\n",
        {{RelocationKind::kText, 2, kHeldSize, 0}, {RelocationKind::kText, 20 + kHeldSize - 1, kHeldSize, 0}}, true);
    const std::string room = bundle::placeholder(kRoom);
    const std::string string = "-L" + room + "/lib:" + room + "/x";
    const auto size = static_cast<std::uint32_t>(string.size());
    std::string library(1'500'000, '\x7f');  // more than one block
    library.replace(kPlace, size + 1, string + std::string(1, '\0'));
    add("lib/deep/library", library,
        {{RelocationKind::kBinary, kPlace + 2, kRoom, size - 2},
         {RelocationKind::kBinary, kPlace + 7 + kRoom, kRoom, size - 7 - kRoom}});
    const std::string wide = bundle::encode(
        "\xEF\xBB\xBF"
        "p=" +
            kHeld + "\n",
        TextEncoding::kUtf16Le);
    add("wide.txt", wide, {{RelocationKind::kText, 6, 2 * kHeldSize, 0, TextEncoding::kUtf16Le}});
    folder_.write("tree/plain", "no prefix\n");
    folder_.write("tree/holdall/bundle.json", "{}");
    write_list();
  }

  void add(const std::string& path, const std::string& contents, std::vector<Relocation> records,
           bool executable = false) {
    const fs::path file = folder_.write("tree/" + path, contents);
    fs::permissions(file, executable ? fs::perms(0755) : fs::perms(0644));
    const timespec times[2] = {{.tv_sec = 1'700'000'000, .tv_nsec = 5}, {.tv_sec = 1'700'000'000, .tv_nsec = 5}};
    EXPECT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
    list_.files.push_back(
        {path, executable, contents.size(), bundle::sha256(std::as_bytes(std::span(contents))), std::move(records)});
    packed_[path] = contents;
  }
  void write_list() { folder_.write("tree/holdall/relocations.json", to_json(list_)); }

  fs::path tree() const { return folder_.path() / "tree"; }
  RelocateResult relocate(const std::optional<std::string>& prefix, ChangedFiles changed = ChangedFiles::kRefuse) {
    return relocate_tree(tree(), {.prefix = prefix, .changed_files = changed, .check = {}, .before_change = {}});
  }
  std::map<std::string, std::string> snapshot() const {
    std::map<std::string, std::string> files;
    for (const auto& [path, contents] : packed_) files[path] = read(tree() / path);
    return files;
  }
  // By the pure functions, which have tests of their own.
  std::map<std::string, std::string> expected(const std::optional<std::string>& prefix) const {
    std::map<std::string, std::string> files;
    for (const auto& file : list_.files)
      files[file.path] =
          prefix ? bundle::relocate(packed_.at(file.path), file.records, *prefix) : packed_.at(file.path);
    return files;
  }
  void expect_relocated(const std::optional<std::string>& prefix, const std::string& where = "") {
    EXPECT_TRUE(snapshot() == expected(prefix)) << where;
    EXPECT_EQ(read(tree() / "holdall/prefix"), prefix ? *prefix + "\n" : "") << where;
    std::vector<std::string> names;
    for (const auto& item : fs::directory_iterator(tree() / "holdall")) names.push_back(item.path().filename());
    std::ranges::sort(names);
    EXPECT_EQ(names, prefix ? (std::vector<std::string>{"bundle.json", "prefix", "relocations.json"})
                            : (std::vector<std::string>{"bundle.json", "relocations.json"}))
        << where;
  }
  std::string refusal(ErrorKind kind, const std::function<void()>& action) {
    const auto before = snapshot();
    const std::string held = read(tree() / "holdall/prefix");
    std::string message;
    try {
      action();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const bundle::Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      message = error.what();
    }
    EXPECT_TRUE(snapshot() == before) << "a refusal changed files";
    EXPECT_EQ(read(tree() / "holdall/prefix"), held);
    EXPECT_FALSE(fs::exists(tree() / "holdall/relocating"));
    return message;
  }

  tests::TemporaryFolder folder_;
  bundle::RelocationList list_;
  std::map<std::string, std::string> packed_;
};

TEST_F(Relocate, CompletesATreeThatTarUnpacked) {
  const RelocateResult result = relocate("/opt/a");
  EXPECT_EQ(result.files, 3U);
  EXPECT_EQ(result.changed, 3U);
  expect_relocated("/opt/a");
  EXPECT_TRUE(read(tree() / "bin/tool").starts_with("#!/opt/a/bin/perl\n"));
}

TEST_F(Relocate, ChangesNothingTheSecondTime) {
  relocate("/opt/a");
  std::map<std::string, ino_t> before;
  for (const auto& [path, contents] : packed_) {
    struct stat status {};
    ASSERT_EQ(::stat((tree() / path).c_str(), &status), 0);
    before[path] = status.st_ino;
  }
  int changes = 0;
  const RelocateResult result = relocate_tree(tree(), {.prefix = "/opt/a",
                                                       .changed_files = ChangedFiles::kRefuse,
                                                       .check = {},
                                                       .before_change = [&](auto, auto) { ++changes; }});
  EXPECT_EQ(result.changed, 0U);
  EXPECT_EQ(changes, 0);
  for (const auto& [path, inode] : before) {
    struct stat status {};
    ASSERT_EQ(::stat((tree() / path).c_str(), &status), 0);
    EXPECT_EQ(status.st_ino, inode) << path;
  }
}

// One prefix begins another, and what stands behind it looks like the rest of the longer one.
TEST_F(Relocate, MovesAgainAndAgainAndBack) {
  for (const std::string prefix : {"/a", "/a/x", "/a/x/lib", "/a", "/srv/with a blank/x", "/a/x"}) {
    if (prefix.find(' ') != std::string::npos) {  // the perl script could not be started there
      refusal(ErrorKind::kStorage, [&] { relocate(prefix); });
      continue;
    }
    relocate(prefix);
    expect_relocated(prefix, prefix);
  }
  EXPECT_EQ(relocate(std::nullopt).changed, 3U);
  expect_relocated(std::nullopt);
  EXPECT_EQ(relocate(std::nullopt).changed, 0U);
}

// One by one where that is cheap or needed, else all at once; in either case before the first is put in its place.
TEST_F(Relocate, SyncsTheCopiesBeforeTheyAreUsed) {
  struct Case {
    const char* prefix;
    int files;
    bool old_kernel;  // whose syncfs swallows errors
  };
  for (const Case& given : {Case{"/opt/a", 3, false}, Case{"/opt/b", 303, false}, Case{"/opt/c", 303, true}}) {
    while (list_.files.size() < static_cast<std::size_t>(given.files))
      add("etc/" + std::to_string(list_.files.size()), kHeld + "\n", {{RelocationKind::kText, 0, kHeldSize, 0}});
    write_list();
    std::optional<tests::OldKernel> old;
    if (given.old_kernel) old.emplace();
    const bool together = given.files > 256 && !given.old_kernel;
    int copies = 0, synced = 0;
    bool all = false, renamed = false;
    RelocateOptions options;
    options.prefix = given.prefix;
    options.before_change = [&](std::string_view call, std::string_view path) {
      const bool is_file = packed_.contains(std::string(path));
      if (call == "write" && is_file) ++copies;
      if (call == "fsync" && is_file && !renamed) ++synced;
      if (call == "syncfs") all = !renamed;
      if (call == "rename" && path != "prefix") renamed = true;
    };
    relocate_tree(tree(), options);
    EXPECT_EQ(copies, given.files);
    EXPECT_EQ(synced, together ? 0 : given.files);
    EXPECT_EQ(all, together);
    expect_relocated(options.prefix);
  }
}

TEST_F(Relocate, KeepsModeAndTime) {
  relocate("/opt/a");
  for (const auto& file : list_.files) {
    struct stat status {};
    ASSERT_EQ(::stat((tree() / file.path).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, file.executable ? 0755U : 0644U) << file.path;
    EXPECT_EQ(status.st_mtim.tv_sec, 1'700'000'000) << file.path;
    EXPECT_EQ(status.st_mtim.tv_nsec, 5) << file.path;
  }
}

TEST_F(Relocate, MakesNoSetuidFileOfAnothers) {
  const fs::path file = tree() / list_.files.front().path;
  ASSERT_EQ(::chmod(file.c_str(), 06755), 0);
  relocate("/opt/a");
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755U);
}

TEST_F(Relocate, LeavesATreeAloneThatSharesFilesByHardLinks) {
  fs::create_directory(folder_.path() / "twin");
  fs::create_hard_link(tree() / "lib/deep/library", folder_.path() / "twin/library");
  relocate("/opt/a");
  EXPECT_TRUE(read(folder_.path() / "twin/library") == packed_["lib/deep/library"]);
}

TEST_F(Relocate, RefusesALongPathBeforeAnythingIsWritten) {
  const std::string fits = "/" + std::string(kRoom - 1, 'p');
  EXPECT_THAT(refusal(ErrorKind::kStorage, [&] { relocate(fits + "p"); }),
              HasSubstr("too long for 'lib/deep/library': found 61 bytes, at most 60 fit"));
  relocate(fits);
  expect_relocated(fits);
}

TEST_F(Relocate, RefusesAFirstLineThatStaysTooLongWithAShorterPrefix) {
  add("bin/long", "#!" + kHeld + "/bin/sh " + std::string(120, 'x') + "\n", {{RelocationKind::kText, 2, kHeldSize, 0}},
      true);
  write_list();
  EXPECT_THAT(refusal(ErrorKind::kStorage, [&] { relocate("/opt"); }), HasSubstr("\n  bin/long"));
}

TEST_F(Relocate, NamesFilesThatWereChanged) {
  relocate("/opt/a");
  std::ofstream(tree() / "bin/tool", std::ios::app) << "# edited\n";
  EXPECT_THAT(refusal(ErrorKind::kBadBundle, [&] { relocate("/opt/b"); }), HasSubstr("\n  bin/tool"));
  const RelocateResult result = relocate("/opt/b", ChangedFiles::kSkip);
  EXPECT_EQ(result.skipped, std::vector<std::string>{"bin/tool"});
  EXPECT_EQ(result.changed, 2U);
  EXPECT_EQ(read(tree() / "wide.txt"), expected("/opt/b")["wide.txt"]);
}

TEST_F(Relocate, SkipsFilesThatAreGone) {
  fs::remove(tree() / "bin/tool");
  const RelocateResult result = relocate("/opt/a");
  EXPECT_EQ(result.skipped, std::vector<std::string>{"bin/tool"});
  EXPECT_EQ(result.changed, 2U);
}

TEST_F(Relocate, DoesNotFollowALinkOutOfTheTree) {
  fs::rename(tree() / "lib/deep", folder_.path() / "outside");
  fs::create_symlink(folder_.path() / "outside", tree() / "lib/deep");
  refusal(ErrorKind::kBadBundle, [&] { relocate("/opt/a"); });
  EXPECT_TRUE(read(folder_.path() / "outside/library") == packed_["lib/deep/library"]);
}

TEST_F(Relocate, DoesNotReplaceALinkByItsTarget) {
  fs::rename(tree() / "wide.txt", folder_.path() / "outside.txt");
  fs::create_symlink(folder_.path() / "outside.txt", tree() / "wide.txt");
  refusal(ErrorKind::kBadBundle, [&] { relocate("/opt/a"); });
}

TEST_F(Relocate, ReportsAFolderThatIsNoBundle) {
  fs::create_directory(folder_.path() / "other");
  for (const char* const name : {"other", "absent"}) {
    EXPECT_THAT(
        refusal(ErrorKind::kNotFound,
                [&] {
                  relocate_tree(
                      folder_.path() / name,
                      {.prefix = "/x", .changed_files = ChangedFiles::kRefuse, .check = {}, .before_change = {}});
                }),
        HasSubstr(name));
  }
}

TEST_F(Relocate, HasNothingToDoWithoutAList) {
  fs::remove(tree() / "holdall/relocations.json");
  EXPECT_EQ(relocate("/opt/a").files, 0U);
  EXPECT_FALSE(fs::exists(tree() / "holdall/prefix"));
}

TEST_F(Relocate, LetsOnlyOneRelocateAtATime) {
  const int held = ::open((tree() / "holdall").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  refusal(ErrorKind::kBusy, [&] { relocate("/opt/a"); });
  ::close(held);
  relocate("/opt/a");
}

TEST_F(Relocate, MakesAndRemovesLinksToTheHost) {
  list_.links.push_back({"bin/python", "/usr/bin/python3"});
  write_list();
  relocate("/opt/a");
  EXPECT_EQ(fs::read_symlink(tree() / "bin/python"), "/usr/bin/python3");
  relocate("/opt/b");
  EXPECT_EQ(fs::read_symlink(tree() / "bin/python"), "/usr/bin/python3");
  relocate(std::nullopt);
  EXPECT_FALSE(fs::is_symlink(tree() / "bin/python"));
  folder_.write("tree/bin/python", "the user's own");
  EXPECT_EQ(relocate("/opt/a").skipped, std::vector<std::string>{"bin/python"});
  EXPECT_EQ(read(tree() / "bin/python"), "the user's own");
}

TEST_F(Relocate, SkipsALinkToTheHostWhoseFolderIsGone) {
  list_.links.push_back({"sbin/python", "/usr/bin/python3"});
  write_list();
  EXPECT_EQ(relocate("/opt/a").skipped, std::vector<std::string>{"sbin/python"});
  expect_relocated("/opt/a");
  EXPECT_EQ(relocate(std::nullopt).skipped, std::vector<std::string>{});
  expect_relocated(std::nullopt);
}

TEST_F(Relocate, PutsNoLinkToTheHostOutsideTheTree) {
  list_.links.push_back({"lib/away/python", "/usr/bin/python3"});
  write_list();
  fs::create_directory_symlink(folder_.path(), tree() / "lib/away");
  refusal(ErrorKind::kBadBundle, [&] { relocate("/opt/a"); });
}

TEST_F(Relocate, CancelledWhileItReadsOrCopiesItChangesNothing) {
  for (int last = 1;; ++last) {
    int count = 0;
    bool cancelled = false;
    const auto check = [&] {
      if (++count == last) {
        cancelled = true;
        throw bundle::Error(ErrorKind::kInterrupted, "interrupted");
      }
    };
    const auto action = [&] {
      relocate_tree(tree(),
                    {.prefix = "/opt/a", .changed_files = ChangedFiles::kRefuse, .check = check, .before_change = {}});
    };
    if (last <= 6) {
      refusal(ErrorKind::kInterrupted, action);
      EXPECT_TRUE(cancelled);
    } else {
      action();
      EXPECT_FALSE(cancelled);
      return expect_relocated("/opt/a");
    }
  }
}

// Killed before each change to the disk; then the same again, another prefix, or back: each must end right.
class RelocateKilled : public Relocate {
 protected:
  // Before the change of that number; only those of one kind count, if it is named. True: it was killed; false: it came
  // to its end.
  bool killed_at(int last, const std::optional<std::string>& prefix, std::string_view kind = "") {
    const pid_t child = ::fork();
    if (child == 0) {
      int count = 0;
      const auto before_change = [&](std::string_view call, std::string_view) {
        if ((kind.empty() || call == kind) && ++count == last) ::raise(SIGKILL);
      };
      relocate_tree(
          tree(),
          {.prefix = prefix, .changed_files = ChangedFiles::kRefuse, .check = {}, .before_change = before_change});
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
  }
  void start_over(const std::optional<std::string>& prefix) {
    fs::remove_all(tree());
    fs::copy(folder_.path() / "saved", tree(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    if (prefix) relocate(*prefix);
  }
  void at_every_change(const std::optional<std::string>& from, const std::optional<std::string>& to) {
    fs::copy(tree(), folder_.path() / "saved", fs::copy_options::recursive);
    int change = 1;
    for (bool killed = true; killed; ++change) {
      for (const std::optional<std::string>& then : {to, std::optional<std::string>("/a/x/third"), from}) {
        start_over(from);
        killed = killed_at(change, to);
        relocate(then);
        expect_relocated(then, "killed before change " + std::to_string(change));
        if (HasFailure()) return;
      }
    }
    EXPECT_GT(change, 10) << "too few changes: the test shows little";
  }
};

TEST_F(RelocateKilled, FirstRelocation) {
  at_every_change(std::nullopt, "/opt/a");
}
TEST_F(RelocateKilled, Move) {
  at_every_change("/a", "/a/x");
}
TEST_F(RelocateKilled, Undo) {
  at_every_change("/a/x", std::nullopt);
}

// During the switch, so that the files hold three prefixes. Its renames: holdall/prefix with all that is possible, the
// three files, holdall/prefix with the new one.
TEST_F(RelocateKilled, TwiceOnTheWay) {
  fs::copy(tree(), folder_.path() / "saved", fs::copy_options::recursive);
  for (const int first : {2, 3, 4, 5})
    for (const int second : {2, 3, 4, 5}) {
      const std::string where = std::to_string(first) + ", " + std::to_string(second);
      start_over("/a");
      ASSERT_TRUE(killed_at(first, "/a/x", "rename")) << where;
      EXPECT_EQ(read(tree() / "holdall/prefix"), "/a\n/a/x\n") << where;
      ASSERT_TRUE(killed_at(second, "/b", "rename")) << where;
      EXPECT_EQ(read(tree() / "holdall/prefix"), "/a\n/a/x\n/b\n") << where;
      relocate("/c");
      expect_relocated("/c", where);
    }
}

}  // namespace
}  // namespace holdall::launcher
