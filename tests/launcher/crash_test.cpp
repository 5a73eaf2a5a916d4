// Every change to the disk is a place where the process may die. Each test kills it before the first change, before the
// second, and so on, then recovers (the recovery is killed at each of its own changes, too) and looks at what must
// hold:
//   current and good resolve and verify; what was acknowledged stays; running the command again brings it about;
//   nothing outside the store changes; no litter is left.
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <functional>

#include "launcher/collect.h"
#include "launcher/repair.h"
#include "tests/launcher/store_fixture.h"

namespace holdall::launcher {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;

class Crash : public testing::StoreTest {
 protected:
  using Command = std::function<void(Store&, const StoreLock&)>;

  // Runs `command` in a child that dies before its change number `last`. True: it was killed; false: it came to its
  // end.
  bool killed_at(int last, const Command& command) {
    const pid_t child = ::fork();
    if (child == 0) {
      std::atomic<int> count{0};
      Store store = open([&](std::string_view, std::string_view) {
        if (++count == last) ::raise(SIGKILL);
      });
      const StoreLock held = lock(store);
      command(store, held);
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) return true;
    EXPECT_EQ(WEXITSTATUS(status), 0) << "the command failed at change " << last;
    return false;
  }

  void expect_sound(const std::string& where) {
    const Store store = open();
    EXPECT_EQ(testing::litter_in(path()), std::vector<std::string>{}) << where;
    for (const char* link : {"current", "good"})
      EXPECT_EQ(fs::is_symlink(path() / link), fs::exists(path() / link)) << where << ": " << link;
    for (const auto& generation : {store.current(), store.good()})
      if (generation) {
        EXPECT_EQ(store.check_release(generation->release, true), std::vector<std::string>{}) << where;
      }
    if (const auto now = store.current(); now && store.info(now->release).service) {
      EXPECT_TRUE(store.passed_gate(now->number) || has_trial(now->number)) << where;
    }
    EXPECT_EQ(testing::names_below(temporary_.path() / "beside"), std::vector<std::string>{"file"}) << where;
  }
  bool has_trial(std::uint64_t generation) const {
    for (const auto& name : testing::names_below(path() / "state"))
      if (name.starts_with("trial." + std::to_string(generation) + "+")) return true;
    return false;
  }

  // `check` is told whether the command was acknowledged (ran to its end).
  void at_every_change(const Command& command, const std::function<void()>& before_or_after,
                       const std::function<void()>& after) {
    fs::create_directories(temporary_.path() / "beside");
    std::ofstream(temporary_.path() / "beside/file") << "untouched";
    {
      Store store = open();
      const StoreLock held = lock(store);
    }
    const fs::path saved = temporary_.path() / "saved";
    fs::copy(root(), saved, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    int change = 1;
    for (;; ++change) {
      fs::remove_all(root());
      fs::copy(saved, root(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
      const std::string where = "killed before change " + std::to_string(change);
      const bool killed = killed_at(change, command);
      for (int again = 1; killed_at(again, [](Store&, const StoreLock&) {}); ++again) ASSERT_LT(again, 200) << where;
      expect_sound(where);
      killed ? before_or_after() : after();
      {  // a rerun converges
        Store store = open();
        command(store, lock(store));
        expect_sound(where + ", then run again");
        after();
      }
      if (!killed || HasFailure()) break;
    }
    EXPECT_GT(change, 3) << "the command changed almost nothing";
  }
};

TEST_F(Crash, InstallIsWholeOrAbsent) {
  const Bytes archive = testing::bundle_of("1.0.0");
  const std::string id = bundle::testing::open_bytes(archive).release_id();
  const auto whole = [&] { EXPECT_EQ(open().check_release(id, true), std::vector<std::string>{}); };
  at_every_change([&](Store& store, const StoreLock& held) { install_into(store, held, archive); },
                  [&] {
                    if (!open().releases().empty()) whole();
                  },
                  whole);
}

TEST_F(Crash, ARepairLeavesWholeFilesAndEndsWhenItIsRunAgain) {
  const Bytes archive = testing::bundle_of("1.0.0");
  good_version("0.9.0");
  const std::string id = install_version("1.0.0");
  const fs::path tree = open().tree(id), file = temporary_.path() / "demo.tar.zst";
  std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(archive.data()), std::ssize(archive));
  const std::string run = testing::read(tree / "bin/run"), data = testing::read(tree / "lib/data");
  fs::remove(tree / "bin/run");
  std::ofstream(tree / "lib/data") << "broken";
  fs::remove(tree / "lib/link");
  fs::create_symlink("elsewhere", tree / "lib/link");
  at_every_change([&](Store& store, const StoreLock& held) { repair(store, held, id, Source::open(file), {}); },
                  [&] {
                    const std::string now = testing::read(tree / "lib/data");
                    EXPECT_TRUE(now == "broken" || now == data) << "half a file";
                    EXPECT_TRUE(!fs::exists(tree / "bin/run") || testing::read(tree / "bin/run") == run)
                        << "half a file";
                  },
                  [&] { EXPECT_EQ(open().check_release(id, true), std::vector<std::string>{}); });
}

TEST_F(Crash, AReleaseIsNeverThereWithoutItsVersionFloor) {
  const Bytes archive = testing::bundle_of("1.0.0");
  const auto floor = [&] { return testing::read(path() / "state/min_version.demo"); };
  at_every_change(
      [&](Store& store, const StoreLock& held) {
        InstallOptions options;
        options.threads = 1;
        options.min_version = "0.9";
        install(store, held, bundle::testing::open_bytes(archive), options);
      },
      [&] {
        if (!open().releases().empty()) {
          EXPECT_EQ(floor(), "0.9");
        }
      },
      [&] { EXPECT_EQ(floor(), "0.9"); });
}

TEST_F(Crash, ReplacingADamagedCurrentReleaseNeverLeavesNone) {
  const Bytes archive = testing::bundle_of("1.0.0");
  const std::string id = good_version("1.0.0");
  fs::remove(fs::path(open().tree(id)) / "lib/data");
  fs::create_directories(temporary_.path() / "beside");
  std::ofstream(temporary_.path() / "beside/file") << "untouched";
  const fs::path saved = temporary_.path() / "saved";
  fs::copy(root(), saved, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  bool killed = true;
  for (int change = 1; killed; ++change) {
    fs::remove_all(root());
    fs::copy(saved, root(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    killed = killed_at(change, [&](Store& store, const StoreLock& held) { install_into(store, held, archive); });
    EXPECT_EQ(current(), id) << "killed before change " << change;
    EXPECT_TRUE(fs::exists(fs::path(open().tree(id)) / "bin/run")) << "killed before change " << change;
  }
  EXPECT_EQ(open().check_release(id, true), std::vector<std::string>{});
}

TEST_F(Crash, ActivationSwitchesOrDoesNot) {
  const std::string one = good_version("1"), two = install_version("2");
  at_every_change(
      [&](Store& store, const StoreLock& held) {
        if (store.current()->release != two) store.activate(held, two);
      },
      [&] {
        EXPECT_TRUE(current() == one || current() == two);
        EXPECT_EQ(good(), one);
      },
      [&] {
        EXPECT_EQ(current(), two);
        EXPECT_EQ(good(), one);
      });
}

TEST_F(Crash, ActivationOfABundleWithoutAServiceIsGoodWithTheSwitch) {
  const std::string id = install_version("1", testing::Kind::kFilesOnly);
  at_every_change(
      [&](Store& store, const StoreLock& held) {
        if (!store.current()) store.activate(held, id);
      },
      [&] { EXPECT_EQ(current(), good()); },
      [&] {
        EXPECT_EQ(current(), id);
        EXPECT_EQ(good(), id);
      });
}

TEST_F(Crash, PassingTheGateSticks) {
  const std::string one = good_version("1"), two = install_version("2");
  {
    Store store = open();
    store.activate(lock(store), two);
  }
  at_every_change([&](Store& store, const StoreLock& held) { store.mark_good(held, store.current()->number); },
                  [&] {
                    EXPECT_EQ(current(), two);
                    EXPECT_TRUE(good() == one || good() == two);
                  },
                  [&] { EXPECT_EQ(good(), two); });
}

TEST_F(Crash, FailingTheGateEndsAtTheGoodRelease) {
  const std::string one = good_version("1"), two = install_version("2");
  {
    Store store = open();
    const StoreLock held = lock(store);
    store.spend_trial(held, store.activate(held, two).number);
  }
  at_every_change(
      [&](Store& store, const StoreLock& held) {
        if (store.current()->release == two) store.mark_bad(held, store.current()->number, "no");
      },
      [&] {
        EXPECT_TRUE(current() == one || current() == two);
        EXPECT_EQ(good(), one);
      },
      [&] {
        EXPECT_EQ(current(), one);
        EXPECT_TRUE(has_state("bad.2"));
      });
}

TEST_F(Crash, TakingBackAReleaseThatHadPassedItsGateEndsAtTheOneBefore) {
  const std::string one = good_version("1"), two = good_version("2");
  at_every_change(
      [&](Store& store, const StoreLock& held) {
        if (store.current()->release == two) store.mark_bad(held, store.current()->number, "died");
      },
      [&] {
        EXPECT_TRUE(current() == one || current() == two);
        EXPECT_EQ(good(), current());
      },
      [&] {
        EXPECT_EQ(current(), one);
        EXPECT_EQ(good(), one);
        EXPECT_FALSE(has_state("good.2"));
      });
}

TEST_F(Crash, RollbackSwitchesOrDoesNot) {
  const std::string one = good_version("1"), two = good_version("2");
  at_every_change(
      [&](Store& store, const StoreLock& held) {
        if (store.current()->release == two) store.activate(held, *store.rollback_target());
      },
      [&] {
        EXPECT_TRUE(current() == one || current() == two);
        EXPECT_EQ(good(), two);
      },
      [&] { EXPECT_EQ(current(), one); });
}

TEST_F(Crash, SpendingATrialNeverGivesOneBack) {
  const std::string id = install_version("1");
  {
    Store store = open();
    store.activate(lock(store), id);
  }
  int spent = 0;
  while (killed_at(2, [&](Store& store, const StoreLock& held) { store.spend_trial(held, 1); })) ASSERT_LT(++spent, 4);
  EXPECT_EQ(spent, 3);  // killed at the fsync, after the rename: the trial counts
}

TEST_F(Crash, CollectionTakesAReleaseWithItsGenerations) {
  const std::string one = good_version("1"), two = good_version("2"), three = good_version("3");
  at_every_change([&](Store& store,
                      const StoreLock& held) { collect(store, held, {.keep = 1, .unused = false, .dry_run = false}); },
                  [&] { EXPECT_EQ(current(), three); },
                  [&] {
                    EXPECT_EQ(open().releases().size(), 1U);
                    EXPECT_EQ(testing::names_below(path() / "gens"), std::vector<std::string>{"3"});
                    EXPECT_EQ(testing::names_below(path() / "state"), std::vector<std::string>{"good.3"});
                  });
}

}  // namespace
}  // namespace holdall::launcher
