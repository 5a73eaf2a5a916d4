#include "packer/inputs/tree_walk.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <map>

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;
using bundle::ErrorKind;

std::map<std::string, std::string> links_of(const TreeWalk& walk) {
  std::map<std::string, std::string> links;
  for (const Member& member : walk.members) {
    if (member.type == EntryType::kSymlink) links.emplace(member.path, member.link_target);
  }
  return links;
}

TEST(TreeWalk, FindsFilesLinksAndEmptyFolders) {
  const TemporaryFolder folder;
  folder.write("t/b/file", "12345");
  fs::create_directories(folder.path("t/a/empty"));
  fs::create_symlink("../a", folder.path("t/b/link"));
  ::chmod(folder.path("t/b/file").c_str(), 0710);
  const TreeWalk walk = walk_tree(folder.path("t"));
  std::vector<std::string> paths;
  for (const Member& member : walk.members) paths.push_back(member.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"a", "a/empty", "b", "b/file", "b/link"}));
  EXPECT_EQ(walk.members[3].size, 5U);
  EXPECT_TRUE(walk.members[3].executable);
  EXPECT_NE(walk.members[3].mtime_ns, 0);
}

TEST(TreeWalk, MakesAbsoluteLinksIntoTheFolderRelative) {
  const TemporaryFolder folder;
  const std::string root = folder.path("t");
  folder.write("t/lib/x/deep", "");
  folder.write("t/bin/tool", "");
  fs::create_symlink(root, folder.path("other"));
  fs::create_symlink(root + "/lib/x", root + "/bin/over");
  fs::create_symlink(root + "/lib/x/deep", root + "/lib/x/beside");
  fs::create_symlink(folder.path("other") + "/bin/tool", root + "/bin/given");
  fs::create_symlink(root + "//bin/gone", root + "/dangling");
  fs::create_symlink(root, root + "/lib/top");
  fs::create_symlink("../../t/bin/tool", root + "/bin/around");
  EXPECT_EQ(links_of(walk_tree(root, {.given = folder.path("other")})),
            (std::map<std::string, std::string>{{"bin/over", "../lib/x"},
                                                {"lib/x/beside", "deep"},
                                                {"bin/given", "tool"},
                                                {"dangling", "bin/gone"},
                                                {"lib/top", ".."},
                                                {"bin/around", "tool"}}));
}

TEST(TreeWalk, NamesEveryLinkThatLeadsOut) {
  const TemporaryFolder folder;
  folder.write("outside/file", "o");
  fs::create_directories(folder.path("t/bin"));
  fs::create_symlink(folder.path("outside"), folder.path("t/bin/absolute"));
  fs::create_symlink("../../outside/file", folder.path("t/bin/relative"));
  fs::create_symlink(folder.path("tt"), folder.path("t/bin/named-alike"));
  const auto refused = thrown_by([&] { walk_tree(folder.path("t")); });
  EXPECT_EQ(refused.kind, ErrorKind::kCannotPack);
  for (const char* const name : {"absolute", "relative", "named-alike"}) EXPECT_TRUE(refused.says(name)) << name;
}

TEST(TreeWalk, CopiesWhatAnOutsideLinkLeadsToOnDemand) {
  const TemporaryFolder folder;
  folder.write("outside/sub/file", "hello");
  fs::create_symlink("file", folder.path("outside/sub/inner"));
  fs::create_directories(folder.path("t"));
  fs::create_symlink(folder.path("outside"), folder.path("t/in"));
  const TreeWalk walk =
      walk_tree(folder.path("t"), {.outside_link = [](const auto&, const auto&) { return OutsideLink::kCopy; }});
  std::map<std::string, EntryType> found;
  for (const Member& member : walk.members) found.emplace(member.path, member.type);
  EXPECT_EQ(found, (std::map<std::string, EntryType>{{"in", EntryType::kDirectory},
                                                     {"in/sub", EntryType::kDirectory},
                                                     {"in/sub/file", EntryType::kRegular},
                                                     {"in/sub/inner", EntryType::kRegular}}));
}

TEST(TreeWalk, RefusesCircles) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path("t/a"));
  fs::create_symlink("..", folder.path("t/a/up"));
  EXPECT_EQ(links_of(walk_tree(folder.path("t"))).at("a/up"), "..");  // a link that is kept leads nobody round
  EXPECT_TRUE(thrown_by([&] { walk_tree(folder.path("t"), {.links = Links::kFollow}); }).says("circle"));
  fs::create_symlink("self", folder.path("t/self"));
  EXPECT_TRUE(thrown_by([&] { walk_tree(folder.path("t"), {.links = Links::kFollow}); }).says("t/self"));
}

TEST(TreeWalk, LeavesOutSocketsWithAWarning) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path("t"));
  ASSERT_EQ(::mkfifo(folder.path("t/fifo").c_str(), 0600), 0);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  folder.path("t/socket").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(listener);
  const TreeWalk walk = walk_tree(folder.path("t"));
  EXPECT_TRUE(walk.members.empty());
  EXPECT_EQ(walk.warnings.size(), 2U);
}

TEST(TreeWalk, NamesEveryNameThatIsNotUtf8) {
  const TemporaryFolder folder;
  folder.write("t/caf\xe9", "");
  folder.write("t/ok-\xc3\xa9", "");
  folder.write("t/\xff/x", "");
  const auto refused = thrown_by([&] { walk_tree(folder.path("t")); });
  EXPECT_EQ(refused.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(refused.says("caf\xe9") && refused.says("t/\xff") && !refused.says("ok-")) << refused.message;
}

TEST(TreeWalk, TakesLongPaths) {
  const TemporaryFolder folder;
  std::string path = "t";
  for (int i = 0; i < 12; ++i) path += "/" + std::string(60, 'd');
  folder.write(path + "/file", "x");
  EXPECT_EQ(walk_tree(folder.path("t")).members.back().path, path.substr(2) + "/file");
}

TEST(TreeWalk, CanBeCancelled) {
  const TemporaryFolder folder;
  for (int i = 0; i < 600; ++i) folder.write("t/" + std::to_string(i), "");
  const auto cancel = [] { throw bundle::Error(ErrorKind::kInterrupted, "interrupted"); };
  EXPECT_EQ(thrown_by([&] { walk_tree(folder.path("t"), {.check = cancel}); }).kind, ErrorKind::kInterrupted);
}

}  // namespace
}  // namespace holdall::packer
