#include "launcher/install.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <functional>

#include "bundle/error.h"
#include "bundle/model_digest.h"
#include "launcher/collect.h"
#include "launcher/version_floor.h"
#include "tests/launcher/store_fixture.h"

namespace holdall::launcher {
namespace {

using bundle::ErrorKind;
using bundle::FileDescriptor;
using testing::Bytes;
using testing::error_of;
namespace fs = std::filesystem;

class Install : public testing::StoreTest {
 protected:
  std::string install_bytes(const Bytes& archive) {
    Store store = open();
    return install_into(store, lock(store), archive);
  }
  void expect_nothing_installed() {
    EXPECT_TRUE(fs::is_empty(path() / "releases"));
    EXPECT_EQ(testing::litter_in(path()), std::vector<std::string>{});
  }
};

TEST_F(Install, MakesAReleaseOfTheArchive) {
  const Bytes archive = testing::bundle_of("1.0.0");
  const std::string id = install_bytes(archive);
  EXPECT_EQ(id, bundle::testing::open_bytes(archive).release_id());
  const fs::path tree = open().tree(id);
  EXPECT_EQ(testing::read(tree / "bin/run"), "#!/bin/sh\necho 1.0.0\n");
  EXPECT_EQ(fs::read_symlink(tree / "lib/link"), "data");
  EXPECT_TRUE(fs::exists(tree / "holdall/bundle.json"));
  EXPECT_TRUE(fs::exists(path() / "releases" / id / ".lease"));
  EXPECT_EQ(open().info(id).version, "1.0.0");
  EXPECT_EQ(testing::litter_in(path()), std::vector<std::string>{});
}

TEST_F(Install, KeepsTheTocThatTheIdIsMadeOf) {
  const std::string id = install_bytes(testing::bundle_of("1"));
  const std::string toc = testing::read(path() / "releases" / id / "toc");
  const std::string digest = bundle::to_hex(bundle::sha256(std::as_bytes(std::span(toc))));
  EXPECT_EQ(id.substr(id.size() - 12), digest.substr(0, 12));
}

TEST_F(Install, ReusesAReleaseThatIsThereAndWhole) {
  const Bytes archive = testing::bundle_of("1");
  const std::string id = install_bytes(archive);
  const auto before = fs::last_write_time(path() / "releases" / id / "installed.json");
  Store store = open();
  const InstallResult again = install(store, lock(store), bundle::testing::open_bytes(archive), {});
  EXPECT_TRUE(again.reused);
  EXPECT_EQ(again.release, id);
  EXPECT_EQ(fs::last_write_time(path() / "releases" / id / "installed.json"), before);
}

TEST_F(Install, KeepsWhatWasSignedOfAReleaseThatIsThereAlready) {
  const Bytes archive = testing::bundle_of("1");
  const std::string id = install_bytes(archive);
  const fs::path kept = path() / "releases" / id / "release.json";
  EXPECT_FALSE(fs::exists(kept));
  Store store = open();
  const StoreLock held = lock(store);
  for (const std::string json : {"{\"first\": 1}", "{\"second\": 1}", ""}) {
    InstallOptions options;
    options.release_json = json;
    EXPECT_TRUE(install(store, held, bundle::testing::open_bytes(archive), options).reused);
    EXPECT_EQ(testing::read(kept), json.empty() ? "{\"second\": 1}" : json);
  }
  EXPECT_EQ(testing::litter_in(path()), std::vector<std::string>{});
}

class VersionFloor : public Install {
 protected:
  void install_signed(const std::string& version, const std::string& min_version) {
    Store store = open();
    InstallOptions options;
    options.min_version = min_version;
    install(store, lock(store), bundle::testing::open_bytes(testing::bundle_of(version)), options);
  }
  void require(const std::string& version, const std::string& name = "demo") {
    bundle::Release release;
    release.name = name;
    release.version = version;
    Store store = open();
    require_version_floor(store, lock(store), release);
  }
};

TEST_F(VersionFloor, RefusesWhatIsBelowTheHighestThatTheStoreHasHad) {
  EXPECT_NO_THROW(require("0.1"));
  install_signed("2.0", "1.10");
  install_signed("3.0", "1.9");
  install_signed("4.0", "");
  Store store = open();
  store.activate(lock(store), open().releases().back().id);
  collect(store, lock(store), {.keep = 1, .unused = true, .dry_run = false});
  ASSERT_EQ(open().releases().size(), 1U);  // the floor outlives the release that set it
  const std::string message = error_of(ErrorKind::kTrust, [&] { require("1.9"); });
  EXPECT_NE(message.find("demo 1.9 is too old"), std::string::npos) << message;
  EXPECT_NE(message.find("below 1.10"), std::string::npos) << message;
  EXPECT_NO_THROW(require("1.10"));
  EXPECT_NO_THROW(require("0.1", "another"));
  EXPECT_EQ(testing::litter_in(path()), std::vector<std::string>{});
}

TEST_F(VersionFloor, RisesWithAReleaseThatIsThereAlready) {
  install_signed("2.0", "");
  install_signed("2.0", "2.0");
  error_of(ErrorKind::kTrust, [&] { require("1.9"); });
}

TEST_F(VersionFloor, IsNotTakenForNoneWhereItCannotBeRead) {
  install_signed("2.0", "2.0");
  std::ofstream(path() / "state/min_version.demo", std::ios::trunc) << "";
  const std::string message = error_of(ErrorKind::kStorage, [&] { require("2.0"); });
  EXPECT_NE(message.find("min_version.demo' is damaged"), std::string::npos) << message;
}

TEST_F(Install, ReplacesADamagedRelease) {
  const Bytes archive = testing::bundle_of("1");
  const std::string id = install_bytes(archive);
  fs::remove(fs::path(open().tree(id)) / "lib/data");
  EXPECT_EQ(install_bytes(archive), id);
  EXPECT_TRUE(open().check_release(id, true).empty());
  EXPECT_EQ(testing::litter_in(path()), std::vector<std::string>{});
}

TEST_F(Install, LeavesADamagedReleaseToTheServiceThatRunsFromIt) {
  const Bytes archive = testing::bundle_of("1");
  const std::string id = install_bytes(archive);
  const FileDescriptor lease = open().lease(id);
  fs::remove(fs::path(open().tree(id)) / "lib/data");
  const std::string message = error_of(ErrorKind::kStorage, [&] { install_bytes(archive); });
  EXPECT_NE(message.find("in use"), std::string::npos) << message;
}

TEST_F(Install, LeavesNothingOfAnArchiveThatIsCutShort) {
  const Bytes archive = testing::bundle_of("1");
  for (std::size_t size = 0; size < archive.size(); size += 997) {
    const Bytes cut(archive.begin(), archive.begin() + static_cast<std::ptrdiff_t>(size));
    error_of(ErrorKind::kBadBundle, [&] { install_bytes(cut); });
    expect_nothing_installed();
  }
}

TEST_F(Install, LeavesNothingOfAnArchiveWithAFlippedBit) {
  const Bytes archive = testing::bundle_of("1");
  for (std::size_t at = 11; at < archive.size(); at += 211) {
    Bytes broken = archive;
    broken[at] ^= std::byte{0x04};
    SCOPED_TRACE("bit of byte " + std::to_string(at) + " of " + std::to_string(archive.size()));
    error_of(ErrorKind::kBadBundle, [&] { install_bytes(broken); });
    expect_nothing_installed();
  }
}

TEST_F(Install, RefusesAnArchiveThatKeepsEverythingBelowAFolder) {
  bundle::WriterOptions options{.threads = 1};
  options.root = "opt/ml";
  const Bytes archive = bundle::testing::pack({{"opt/ml/file", bundle::EntryType::kRegular, "x"}}, options,
                                              testing::info_of("1", testing::Kind::kFilesOnly))
                            .archive;
  const std::string message = error_of(ErrorKind::kBadBundle, [&] { install_bytes(archive); });
  EXPECT_NE(message.find("below 'opt/ml'"), std::string::npos) << message;
  expect_nothing_installed();
}

class InstallModel : public Install {
 protected:
  static Bytes with_model(const std::string& digest) {
    bundle::BundleInfo info = testing::info_of("1", testing::Kind::kFilesOnly);
    info.model = bundle::Model{.path = "model", .name = "tiny", .external = false, .digest = digest, .golden = {}};
    using bundle::EntryType;
    return bundle::testing::pack({{"model", EntryType::kDirectory, {}}, {"model/weights", EntryType::kRegular, "1234"}},
                                 {.threads = 1}, info)
        .archive;
  }
  static std::string right() {
    const std::string weights = "1234";
    return bundle::to_string(bundle::model_digest({{"weights", bundle::sha256(std::as_bytes(std::span(weights)))}}));
  }
};

TEST_F(InstallModel, TakesAnEmbeddedModelWithThePinnedDigest) {
  EXPECT_NO_THROW(install_bytes(with_model(right())));
}

TEST_F(InstallModel, RefusesAnEmbeddedModelWithAnotherDigest) {
  const std::string wrong = "sha256:" + std::string(64, '0');
  const std::string message = error_of(ErrorKind::kBadBundle, [&] { install_bytes(with_model(wrong)); });
  EXPECT_NE(message.find(right()), std::string::npos) << message;
  expect_nothing_installed();
}

// What a child process of its own does; 0 when it ends as it should.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// A limit on the size of files stands for a full disk: the kernel refuses the same calls, without root.
TEST_F(Install, LeavesNothingWhenTheDiskIsFull) {
  const Bytes archive = testing::bundle_of("1");
  const int kind = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{10'000, 10'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      install_bytes(archive);
    } catch (const bundle::Error& error) {
      return exit_code(error.kind());
    }
    return 0;
  });
  EXPECT_EQ(kind, exit_code(ErrorKind::kStorage));
  expect_nothing_installed();
}

TEST_F(Install, LeavesNothingAfterAnInterrupt) {
  const Bytes archive = testing::bundle_of("1");
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const int kind = in_child([&] {
      Store store = open();
      const StoreLock held = lock(store);
      InstallOptions options;
      options.progress = [&](std::uint64_t, std::uint64_t) { ::kill(::getpid(), signal); };
      try {
        install(store, held, bundle::testing::open_bytes(archive), options);
      } catch (const bundle::Error& error) {
        return exit_code(error.kind());
      }
      return 0;
    });
    EXPECT_EQ(kind, exit_code(ErrorKind::kInterrupted));
    expect_nothing_installed();
  }
}

}  // namespace
}  // namespace holdall::launcher
