#include "launcher/store.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "launcher/relocate.h"
#include "tests/launcher/store_fixture.h"

namespace holdall::launcher {
namespace {

using bundle::ErrorKind;
using testing::error_of;
using testing::Kind;
namespace fs = std::filesystem;

class StoreTest : public testing::StoreTest {};

TEST_F(StoreTest, ActivationGivesAServiceThreeTrials) {
  const std::string id = install_version("1");
  Store store = open();
  const StoreLock held = lock(store);
  const Generation generation = store.activate(held, id);
  EXPECT_EQ(generation.number, 1U);
  EXPECT_EQ(store.current()->release, id);
  EXPECT_FALSE(store.good());
  EXPECT_FALSE(store.passed_gate(1));
  EXPECT_TRUE(store.spend_trial(held, 1));
  EXPECT_TRUE(store.spend_trial(held, 1));
  EXPECT_TRUE(has_state("trial.1+1-2"));
  EXPECT_TRUE(store.spend_trial(held, 1));
  EXPECT_FALSE(store.spend_trial(held, 1));
}

TEST_F(StoreTest, ABundleWithoutAServiceIsGoodAtOnce) {
  const std::string id = install_version("1", Kind::kFilesOnly);
  Store store = open();
  store.activate(lock(store), id);
  EXPECT_EQ(store.good()->release, id);
  EXPECT_TRUE(store.passed_gate(1));
}

TEST_F(StoreTest, PassingTheGateEndsTheTrial) {
  const std::string id = good_version("1");
  EXPECT_EQ(good(), id);
  EXPECT_TRUE(open().passed_gate(1));
  EXPECT_TRUE(has_state("good.1"));
  EXPECT_FALSE(has_state("trial.1+3-0"));
  Store store = open();
  EXPECT_FALSE(store.spend_trial(lock(store), 1));
}

TEST_F(StoreTest, FailingTheGateReturnsToTheLastGoodRelease) {
  const std::string old = good_version("1"), fresh = install_version("2");
  Store store = open();
  const StoreLock held = lock(store);
  const Generation trial = store.activate(held, fresh);
  const auto back = store.mark_bad(held, trial.number, "it printed nothing");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->release, old);
  EXPECT_EQ(store.current()->release, old);
  EXPECT_EQ(testing::read(path() / "state/bad.2"), "it printed nothing\n");
  EXPECT_FALSE(has_state("trial.2+3-0"));
}

TEST_F(StoreTest, FailingTheFirstGateLeavesNothingActive) {
  const std::string id = install_version("1");
  Store store = open();
  const StoreLock held = lock(store);
  EXPECT_FALSE(store.mark_bad(held, store.activate(held, id).number, "no"));
  EXPECT_FALSE(store.current());
}

TEST_F(StoreTest, OnlyTheLastTwentyFailuresAreKept) {
  const std::string old = good_version("1"), bad = install_version("2");
  Store store = open();
  const StoreLock held = lock(store);
  for (int i = 0; i < 22; ++i) store.mark_bad(held, store.activate(held, bad).number, "no");
  EXPECT_FALSE(has_state("bad.2"));
  EXPECT_FALSE(has_state("bad.3"));
  EXPECT_TRUE(has_state("bad.4"));
  EXPECT_TRUE(has_state("bad.23"));
}

TEST_F(StoreTest, RollingBackTwiceToggles) {
  const std::string one = good_version("1"), two = good_version("2");
  EXPECT_EQ(open().rollback_target(), one);
  make_good(one);
  EXPECT_EQ(open().rollback_target(), two);
  make_good(two);
  EXPECT_EQ(open().rollback_target(), one);
}

TEST_F(StoreTest, RollbackPassesOverWhatFailedItsGate) {
  const std::string one = good_version("1"), two = install_version("2"), three = install_version("3");
  Store store = open();
  const StoreLock held = lock(store);
  store.mark_bad(held, store.activate(held, two).number, "no");
  store.activate(held, three);
  EXPECT_EQ(store.rollback_target(), one);
}

TEST_F(StoreTest, HasNothingToRollBackToAfterTheFirstRelease) {
  EXPECT_FALSE(open().rollback_target());
  const std::string one = good_version("1");
  EXPECT_FALSE(open().rollback_target());
  make_good(one);  // the same release again is no other one
  EXPECT_FALSE(open().rollback_target());
}

TEST_F(StoreTest, RefusesAnUnknownReleaseAndNamesThatLeadElsewhere) {
  good_version("1");
  Store store = open();
  const StoreLock held = lock(store);
  for (const char* id : {"demo-9-000000000000", "../releases", "..", "", "a/b", "-x"}) {
    error_of(ErrorKind::kNotFound, [&] { store.activate(held, id); });
    error_of(ErrorKind::kNotFound, [&] { store.info(id); });
    error_of(ErrorKind::kNotFound, [&] { store.lease(id); });
  }
  EXPECT_EQ(testing::names_below(path() / "gens").size(), 1U);
  for (const char* name : {"..", ".", "", "a/b", "-x"})
    error_of(ErrorKind::kUsage, [&] { Store::open(root(), name, {}); });
}

TEST_F(StoreTest, IsNotFoundUnlessItIsToBeMade) {
  error_of(ErrorKind::kNotFound, [&] { Store::open(root(), "demo", {}); });
  EXPECT_FALSE(fs::exists(root()));
}

TEST_F(StoreTest, BelongsToItsUserAlone) {
  open();
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
  for (const mode_t mode : {0720U, 0702U}) {
    ASSERT_EQ(::chmod(path().c_str(), mode), 0);
    const std::string message = error_of(ErrorKind::kStorage, [&] { open(); });
    EXPECT_NE(message.find("chmod go-w"), std::string::npos) << message;
  }
}

TEST_F(StoreTest, ASecondHolderOfTheLockIsToldTheFirstOnesPid) {
  Store first = open(), second = open();
  const StoreLock held = lock(first);
  const std::string message = error_of(ErrorKind::kBusy, [&] { second.lock(std::chrono::milliseconds(0)); });
  EXPECT_NE(message.find("pid " + std::to_string(::getpid())), std::string::npos) << message;
}

TEST_F(StoreTest, TheLockOfADeadProcessIsFree) {
  Store store = open();
  const pid_t child = ::fork();
  if (child == 0) {
    Store own = open();
    const StoreLock held = lock(own);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_NO_THROW(store.lock(std::chrono::milliseconds(0)));
}

TEST_F(StoreTest, ListsReleasesWithTheirState) {
  const std::string one = good_version("1"), two = install_version("2"), three = install_version("3");
  Store store = open();
  store.activate(lock(store), two);
  const auto releases = store.releases();
  ASSERT_EQ(releases.size(), 3U);
  EXPECT_EQ(releases[0].id, one);
  EXPECT_EQ(releases[0].version, "1");
  EXPECT_TRUE(releases[0].good);
  EXPECT_FALSE(releases[0].current);
  EXPECT_EQ(releases[0].state, "good");
  EXPECT_GT(releases[0].bytes, 50'000U);
  EXPECT_TRUE(releases[1].current);
  EXPECT_EQ(releases[1].state, "trial");
  EXPECT_EQ(releases[2].state, "installed");
}

TEST_F(StoreTest, ChecksAReleaseByItsRecord) {
  const std::string id = good_version("1");
  const Store store = open();
  const fs::path tree = store.tree(id);
  EXPECT_TRUE(store.check_release(id, false).empty());
  EXPECT_TRUE(store.check_release(id, true).empty());

  // Touched, but the same: it is read, and found whole.
  fs::last_write_time(tree / "lib/data", fs::file_time_type::clock::now());
  EXPECT_TRUE(store.check_release(id, false).empty());

  std::fstream(tree / "lib/data", std::ios::in | std::ios::out).put('!');
  ASSERT_EQ(store.check_release(id, false).size(), 1U);
  EXPECT_NE(store.check_release(id, false)[0].find("'lib/data'"), std::string::npos);

  fs::remove(tree / "lib/link");
  fs::create_symlink("/etc/passwd", tree / "lib/link");
  fs::remove(tree / "bin/run");
  EXPECT_EQ(store.check_release(id, false).size(), 3U);
}

// The packer says how it edited an ELF file. Whoever undoes that has the vendor's file, and no damage.
TEST_F(StoreTest, AcceptsAnEditedFileAndItsOriginal) {
  const std::string original(5000, 'o'), edited = "edited" + original.substr(6) + "tail";
  bundle::testing::Bytes archive;
  bundle::Writer writer(info_of("1", Kind::kFilesOnly), {.threads = 1}, [&](std::span<const std::byte> data) {
    archive.insert(archive.end(), data.begin(), data.end());
  });
  for (const char* const name : {"lib", "other"}) {
    bundle::Entry entry;
    entry.path = name;
    entry.size = edited.size();
    if (entry.path == "lib") {
      entry.elf = bundle::ElfRecord{
          {{0, original.substr(0, 6), "edited"}}, original.size(), bundle::sha256(bundle::testing::bytes_of(original))};
    }
    writer.add(entry, bundle::testing::source_of(edited));
  }
  writer.finish();
  Store store = open();
  const std::string id = install_into(store, lock(store), archive);
  const auto write = [&](const char* name, const std::string& contents) {
    std::ofstream(store.tree(id) + "/" + name, std::ios::binary) << contents;
    return store.check_release(id, true).size() + store.check_release(id, false).size();
  };
  EXPECT_EQ(store.check_release(id, true), std::vector<std::string>{});
  EXPECT_EQ(write("lib", original), 0U);
  EXPECT_EQ(write("lib", edited), 0U);
  EXPECT_EQ(write("lib", std::string(5000, 'x')), 2U);
  EXPECT_EQ(write("lib", original + "t"), 2U);
  EXPECT_EQ(write("lib", edited), 0U);
  EXPECT_EQ(write("other", original), 2U) << "which was not edited";
}

TEST_F(StoreTest, KnowsARelocatedReleaseByItsPackedBytes) {
  bundle::testing::RelocatableBundle given;
  given.info = testing::info_of("1", Kind::kFilesOnly);
  Store store = open();
  const std::string id = install_into(store, lock(store), bundle::testing::relocatable_bundle(given));
  const fs::path tree = store.tree(id);
  EXPECT_EQ(testing::read(tree / "bin/file"), "#!" + tree.string() + "/bin/tool\n");
  RelocateOptions options;
  options.prefix = "/somewhere/else";
  relocate_tree(tree, options);
  EXPECT_EQ(testing::read(tree / "bin/file"), "#!/somewhere/else/bin/tool\n");
  EXPECT_EQ(store.check_release(id, true), std::vector<std::string>{});
  EXPECT_EQ(store.check_release(id, false), std::vector<std::string>{});
  std::ofstream(tree / "holdall/prefix", std::ios::app) << "/elsewhere/again\n";
  EXPECT_EQ(store.check_release(id, true).size(), 1U) << "a relocation of it was interrupted";
  std::ofstream(tree / "holdall/prefix") << "/somewhere/else\n";
  EXPECT_EQ(store.check_release(id, true), std::vector<std::string>{});
  std::ofstream(tree / "bin/file") << "#!/somewhere/else/bin/evil\n";
  EXPECT_EQ(store.check_release(id, false).size(), 1U);
  fs::remove(tree / "bin/file");
  EXPECT_EQ(store.check_release(id, false).size(), 1U);
}

// The record is the store's own: what cannot be read of it is damage, not a bad bundle.
TEST_F(StoreTest, CallsABadRecordDamage) {
  const std::string id = good_version("1");
  const fs::path record = path() / "releases" / id / "installed.json";
  const std::string data = bundle::testing::noise(50'000, 1);  // lib/data
  std::string bad_digest = testing::read(record);
  const std::size_t digest = bad_digest.find(bundle::to_hex(bundle::sha256(bundle::testing::bytes_of(data))));
  ASSERT_NE(digest, std::string::npos);
  bad_digest[digest] = 'x';
  for (const std::string& text : {std::string("{"), bad_digest}) {
    std::ofstream(record) << text;
    EXPECT_EQ(open().releases().at(0).state, "damaged");
    const auto faults = open().check_release(id, false);
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_NE(faults[0].find("cannot read 'installed.json'"), std::string::npos) << faults[0];
  }
}

TEST_F(StoreTest, DoesNotFollowALinkPutInTheTreesPlace) {
  const std::string id = good_version("1");
  const fs::path tree = open().tree(id);
  fs::rename(tree / "lib", temporary_.path() / "lib");
  fs::create_directory_symlink(temporary_.path() / "lib", tree / "lib");
  EXPECT_FALSE(open().check_release(id, true).empty());
}

// Without any of these fsyncs a power cut could leave a current release whose links or state never reached the disk.
TEST_F(StoreTest, ActivationMakesEachStepDurableBeforeTheNext) {
  const std::string id = install_version("1");
  std::vector<std::string> calls;
  Store store = open([&](std::string_view call, std::string_view name) {
    const std::string_view stem = name.substr(0, name.find_last_of('.') == 0 ? name.size() : name.find('+'));
    calls.push_back(std::string(call) + " " + std::string(stem.starts_with('.') ? "temporary" : stem));
  });
  const StoreLock held = lock(store);
  calls.clear();
  store.activate(held, id);
  EXPECT_EQ(calls,
            (std::vector<std::string>{"symlink 1", "fsync gens", "write temporary", "fsync temporary", "rename trial.1",
                                      "fsync state", "symlink temporary", "rename current", "fsync current"}));
  calls.clear();
  store.spend_trial(held, 1);
  EXPECT_EQ(calls, (std::vector<std::string>{"rename trial.1", "fsync state"}));
  calls.clear();
  store.mark_good(held, 1);
  EXPECT_EQ(calls, (std::vector<std::string>{"write temporary", "fsync temporary", "rename good.1", "fsync state",
                                             "symlink temporary", "rename good", "fsync good", "unlink trial.1",
                                             "fsync state"}));
}

}  // namespace
}  // namespace holdall::launcher
