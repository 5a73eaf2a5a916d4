#include "bundle/writer.h"

#include <algorithm>
#include <map>

#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;

TEST(Writer, RoundTripsEveryKindOfMember) {
  const std::vector<Member> members = varied_members();
  const Packed packed = pack(members);
  const Reader reader = open_bytes(packed.archive);
  const Toc& toc = reader.toc();
  ASSERT_EQ(toc.entries.size(), members.size() + 1);
  EXPECT_EQ(toc.entries[0].path, "holdall/bundle.json");
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Entry& entry = toc.entries[i + 1];
    EXPECT_EQ(entry.path, members[i].path);
    EXPECT_EQ(entry.type, members[i].type);
    EXPECT_EQ(entry.executable, members[i].executable);
    const bool file = entry.type == EntryType::kRegular;
    const std::string contents = file ? reader.read_file(entry.path, 1 << 24) : entry.link_target;
    EXPECT_TRUE(contents == members[i].contents) << entry.path;
  }
  EXPECT_EQ(verify(reader, 2).faults, std::vector<std::string>());
}

TEST(Writer, GivesTheSameBytesWhateverTheThreadCount) {
  const auto members = varied_members();
  const Bytes one = pack(members, {.threads = 1}).archive;
  EXPECT_TRUE(pack(members, {.threads = 2}).archive == one);
  EXPECT_TRUE(pack(members, {.threads = 4}).archive == one);
}

}  // namespace
}  // namespace holdall::bundle
