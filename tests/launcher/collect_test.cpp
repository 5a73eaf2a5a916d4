#include "launcher/collect.h"

#include "tests/launcher/store_fixture.h"

namespace holdall::launcher {
namespace {

class Collect : public testing::StoreTest {
 protected:
  std::vector<std::string> collected(const CollectOptions& options) const {
    Store store = open();
    std::vector<std::string> ids;
    for (const auto& item : collect(store, lock(store), options)) ids.push_back(item.release);
    return ids;
  }
  std::vector<std::string> left() const {
    std::vector<std::string> ids;
    for (const auto& release : open().releases()) ids.push_back(release.id);
    return ids;
  }
};

using Ids = std::vector<std::string>;

TEST_F(Collect, KeepsTheLastGenerationsReleases) {
  const std::string one = good_version("1"), two = good_version("2"), three = good_version("3");
  EXPECT_EQ(collected({.keep = 2}), Ids{one});
  EXPECT_EQ(left(), (Ids{two, three}));
}

TEST_F(Collect, KeepsCurrentAndGoodWhateverIsAsked) {
  const std::string one = good_version("1"), two = install_version("2");
  {
    Store store = open();
    store.activate(lock(store), two);
  }
  EXPECT_EQ(collected({.keep = 0, .unused = true}), Ids{});
  EXPECT_EQ(left(), (Ids{one, two}));
}

TEST_F(Collect, KeepsWhatWasNeverActivatedUnlessAsked) {
  const std::string one = good_version("1"), two = install_version("2");
  EXPECT_EQ(collected({.keep = 0}), Ids{});
  EXPECT_EQ(collected({.keep = 0, .unused = true}), Ids{two});
  EXPECT_EQ(left(), Ids{one});
}

TEST_F(Collect, KeepsWhatAServiceRunsFrom) {
  const std::string one = good_version("1"), two = good_version("2");
  {
    const bundle::FileDescriptor lease = open().lease(one);
    EXPECT_EQ(collected({.keep = 0}), Ids{});
  }
  EXPECT_EQ(collected({.keep = 0}), Ids{one});
}

TEST_F(Collect, AFailedReleaseDoesNotTakeTheLastGoodOnesPlace) {
  const std::string one = good_version("1"), two = good_version("2"), three = install_version("3");
  {
    Store store = open();
    const StoreLock held = lock(store);
    store.mark_bad(held, store.activate(held, three).number, "no");
  }
  EXPECT_EQ(collected({.keep = 2}), Ids{three});
  EXPECT_EQ(open().rollback_target(), one);
}

TEST_F(Collect, ADryRunTakesNothing) {
  const std::string one = good_version("1"), two = good_version("2");
  EXPECT_EQ(collected({.keep = 0, .unused = false, .dry_run = true}), Ids{one});
  EXPECT_EQ(left(), (Ids{one, two}));
}

}  // namespace
}  // namespace holdall::launcher
