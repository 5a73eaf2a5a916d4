#include "launcher/store.h"
#include "tests/launcher/store_fixture.h"

namespace holdall::launcher {
namespace {

namespace fs = std::filesystem;

class Recovery : public testing::StoreTest {
 protected:
  void recover() const {
    Store store = open();
    const StoreLock held = lock(store);
  }
};

TEST_F(Recovery, RestoresADeletedCurrentFromGood) {
  const std::string id = good_version("1");
  fs::remove(path() / "current");
  recover();
  EXPECT_EQ(current(), id);
}

TEST_F(Recovery, TurnsACurrentThatPointsNowhereToGood) {
  const std::string one = good_version("1"), two = install_version("2");
  {
    Store store = open();
    store.activate(lock(store), two);
  }
  fs::remove_all(path() / "releases" / two);
  recover();
  EXPECT_EQ(current(), one);
  EXPECT_FALSE(has_state("trial.2+3-0"));
  EXPECT_FALSE(fs::is_symlink(path() / "gens/2"));
}

TEST_F(Recovery, FindsAnotherGoodWhenGoodIsLost) {
  const std::string one = good_version("1"), two = good_version("2");
  fs::remove_all(path() / "releases" / two);
  recover();
  EXPECT_EQ(current(), one);
  EXPECT_EQ(good(), one);
}

TEST_F(Recovery, LeavesNothingActiveWhenNoReleaseIsLeft) {
  const std::string id = good_version("1");
  fs::remove_all(path() / "releases" / id);
  recover();
  EXPECT_FALSE(fs::is_symlink(path() / "current"));
  EXPECT_FALSE(fs::is_symlink(path() / "good"));
  const std::string again = good_version("2");
  EXPECT_EQ(current(), again);
}

TEST_F(Recovery, ANewGenerationDoesNotInheritTheStateOfALostOne) {
  good_version("1");
  std::ofstream(path() / "state/good.2");
  std::ofstream(path() / "state/bad.3");
  const std::string two = install_version("2");
  Store store = open();
  const Generation generation = store.activate(lock(store), two);
  EXPECT_EQ(generation.number, 2U);
  EXPECT_FALSE(store.passed_gate(2));
  EXPECT_FALSE(has_state("bad.3"));
}

TEST_F(Recovery, RemovesLitterButNotWhatIsNotItsOwn) {
  good_version("1");
  fs::create_directories(path() / "staging/x.1/tree/deep");
  std::ofstream(path() / "staging/x.1/tree/deep/file");
  fs::create_directories(path() / "trash/y");
  fs::create_symlink("gens/1", path() / ".current.abc");
  std::ofstream(path() / ".service.json.abc");
  std::ofstream(path() / "state/.bad.9.abc");
  std::ofstream(temporary_.path() / "outside") << "kept";
  fs::create_symlink(temporary_.path(), path() / "trash/link");
  std::ofstream(path() / "notes");
  recover();
  EXPECT_EQ(testing::litter_in(path()), std::vector<std::string>{});
  EXPECT_EQ(testing::read(temporary_.path() / "outside"), "kept");
  EXPECT_TRUE(fs::exists(path() / "notes"));
}

TEST_F(Recovery, LeavesACurrentOnItsLastTrialAlone) {
  good_version("1");
  const std::string two = install_version("2");
  {
    Store store = open();
    const StoreLock held = lock(store);
    store.activate(held, two);
    for (int i = 0; i < 3; ++i) store.spend_trial(held, 2);
  }
  recover();  // its service may be warming right now
  EXPECT_EQ(current(), two);
}

TEST_F(Recovery, MakesTheFoldersOfAStoreThatWasCutShortWhileItWasMade) {
  fs::create_directories(path());
  fs::permissions(path(), fs::perms::owner_all);
  recover();
  const std::string id = good_version("1");
  EXPECT_EQ(current(), id);
}

}  // namespace
}  // namespace holdall::launcher
