// Two installers, a collector and somebody who switches, all at once on one store, killed at random places: after every
// round what must hold after any crash does (crash_test.cpp has the list). SIGKILL loses nothing that was written, so
// the store may lie in memory; power cuts are cli.power_cut's.
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>
#include <thread>

#include "bundle/error.h"
#include "launcher/collect.h"
#include "tests/launcher/store_fixture.h"

namespace holdall::launcher {
namespace {

namespace fs = std::filesystem;
using bundle::Error;
using bundle::ErrorKind;
using testing::Bytes;

constexpr int kRounds = 1000;
constexpr int kVersions = 5, kSwitched = 3;  // those from kSwitched on are installed and never used
constexpr auto kLongestRound = std::chrono::seconds(30);

// What a process has done, for whoever outlives it.
struct Done {
  std::atomic<std::uint64_t> generation = 0;  // whose activation was acknowledged
  std::atomic<int> installed = -1;            // the version whose installation was
};

class Turmoil : public testing::StoreTest {
 protected:
  using Work = std::function<void(Store&, Done&)>;
  struct Worker {
    pid_t pid = -1;
    Done* done = nullptr;
    bool ended = false;
  };

  Turmoil() {
    const char* const given = std::getenv("HOLDALL_TEST_SEED");
    seed_ = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
    random_.seed(seed_);
    std::cout << "HOLDALL_TEST_SEED=" << seed_ << std::endl;
    for (int i = 0; i < kVersions; ++i) {
      archives_.push_back(testing::bundle_of(std::to_string(i), testing::Kind::kService));
      ids_.push_back(bundle::testing::open_bytes(archives_.back()).release_id());
    }
    void* const memory = ::mmap(nullptr, sizeof *done_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no memory to share");
    done_ = static_cast<decltype(done_)>(memory);
  }
  ~Turmoil() override { ::munmap(done_, sizeof *done_); }

  int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }

  // In a process of its own, half of which die before one of their changes.
  Worker start(std::size_t number, const Work& work) {
    Worker worker;
    worker.done = new (&(*done_)[number]) Done;
    const int dies_at = below(2) == 0 ? 1 + below(15) : 0;
    worker.pid = ::fork();
    if (worker.pid == 0) {
      int status = 0;
      try {
        int count = 0;
        Store store = open([&](std::string_view, std::string_view) {
          if (++count == dies_at) ::raise(SIGKILL);
        });
        work(store, *worker.done);
      } catch (const Error& error) {
        // Another one was faster, or the collector.
        const bool expected = error.kind() == ErrorKind::kNotFound || error.kind() == ErrorKind::kBusy;
        if (!expected) std::cerr << "a worker failed: " << error.what() << std::endl;
        status = expected ? 0 : 1;
      }
      ::_exit(status);
    }
    return worker;
  }

  void install_some(Store& store, Done& done, int version) const {
    const StoreLock held = store.lock(std::chrono::seconds(20));
    install_into(store, held, archives_[static_cast<std::size_t>(version)]);
    done.installed = version;
  }

  void switch_some(Store& store, Done& done, int version, int end) const {
    const StoreLock held = store.lock(std::chrono::seconds(20));
    const Generation made = store.activate(held, ids_[static_cast<std::size_t>(version)]);
    done.generation = made.number;
    if (end == 0) return;
    store.spend_trial(held, made.number);
    if (end == 1) store.mark_bad(held, made.number, "failed its gate");
    if (end == 2) store.mark_good(held, made.number);
  }

  void wait_for(std::vector<Worker>& workers) {
    const auto end = std::chrono::steady_clock::now() + kLongestRound;
    for (Worker& worker : workers) {
      int status = 0;
      while (!worker.ended) {
        worker.ended = ::waitpid(worker.pid, &status, WNOHANG) == worker.pid;
        if (!worker.ended && std::chrono::steady_clock::now() > end) {
          ::kill(worker.pid, SIGKILL);
          ADD_FAILURE() << "a worker hangs";
        }
        if (!worker.ended) std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
      if (WIFEXITED(status)) {
        EXPECT_EQ(WEXITSTATUS(status), 0);
      }
      killed_ += WIFSIGNALED(status);
    }
  }

  // `at_least`: the newest generation whose activation was acknowledged. `end`: what its gate came to.
  void expect_sound(std::uint64_t at_least, int end) {
    Store store = open();
    { const StoreLock recovered = lock(store); }
    EXPECT_EQ(testing::litter_in(path()), std::vector<std::string>{});
    for (const char* link : {"current", "good"}) EXPECT_EQ(fs::is_symlink(path() / link), fs::exists(path() / link));
    const auto current = store.current();
    for (const auto& generation : {current, store.good()})
      if (generation) {
        EXPECT_EQ(store.check_release(generation->release, true), std::vector<std::string>{});
      }
    if (at_least != 0 && end != 1) {  // one that failed went back
      ASSERT_TRUE(current);
      EXPECT_EQ(current->number, at_least) << "an acknowledged activation is gone";
    }
    EXPECT_EQ(testing::names_below(temporary_.path()).front(), "beside");
    EXPECT_EQ(testing::names_below(temporary_.path() / "beside"), std::vector<std::string>{"file"});
    for (const auto& release : store.releases())
      EXPECT_EQ(store.check_release(release.id, true), std::vector<std::string>{}) << release.id;
  }

  unsigned seed_ = 0;
  std::mt19937 random_;
  std::vector<Bytes> archives_;
  std::vector<std::string> ids_;
  std::array<Done, 4>* done_ = nullptr;
  int killed_ = 0, switched_ = 0;
};

TEST_F(Turmoil, LeavesAWholeStoreAfterEveryRound) {
  fs::create_directories(temporary_.path() / "beside");
  std::ofstream(temporary_.path() / "beside/file") << "untouched";
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round) + " of HOLDALL_TEST_SEED=" + std::to_string(seed_));
    const int one = below(kVersions), other = below(kVersions), next = below(kSwitched), end = below(3);
    // Somebody runs a release all the while.
    std::string leased;
    bundle::FileDescriptor lease;
    if (const auto there = open().releases(); !there.empty() && round % 2 == 0) {
      leased = there[static_cast<std::size_t>(below(static_cast<int>(there.size())))].id;
      lease = open().lease(leased);
    }
    const std::size_t keep = static_cast<std::size_t>(1 + below(3));
    std::vector<Worker> workers;
    workers.push_back(start(0, [&](Store& store, Done& done) { install_some(store, done, one); }));
    workers.push_back(start(1, [&](Store& store, Done& done) { install_some(store, done, other); }));
    workers.push_back(start(2, [&](Store& store, Done& done) { switch_some(store, done, next, end); }));
    workers.push_back(start(3, [&](Store& store, Done&) {
      const StoreLock held = store.lock(std::chrono::seconds(20));
      collect(store, held, {.keep = keep});
    }));
    if (below(4) == 0) {  // and any of them at any time
      std::this_thread::sleep_for(std::chrono::microseconds(below(5000)));
      ::kill(workers[static_cast<std::size_t>(below(4))].pid, SIGKILL);
    }
    wait_for(workers);
    const std::uint64_t acknowledged = workers[2].done->generation;
    switched_ += acknowledged != 0;
    expect_sound(acknowledged, end);
    for (const Worker& worker : workers) {
      if (worker.done->installed < 0) continue;
      const std::string& id = ids_[static_cast<std::size_t>(worker.done->installed.load())];
      if (worker.done->installed >= kSwitched) {  // what was once in use may be collected
        EXPECT_TRUE(fs::exists(path() / "releases" / id)) << "an installed release is gone";
      }
    }
    if (!leased.empty()) {
      EXPECT_EQ(open().check_release(leased, true), std::vector<std::string>{}) << "it was in use";
    }
    // The same once more brings it about.
    Store store = open();
    const StoreLock held = lock(store);
    EXPECT_EQ(install_into(store, held, archives_[static_cast<std::size_t>(one)]), ids_[static_cast<std::size_t>(one)]);
    EXPECT_EQ(store.check_release(ids_[static_cast<std::size_t>(one)], true), std::vector<std::string>{});
    if (HasFailure()) break;
  }
  EXPECT_GT(killed_, kRounds / 5) << "hardly anything was killed";
  EXPECT_GT(switched_, kRounds / 10) << "hardly anything was switched";
}

}  // namespace
}  // namespace holdall::launcher
