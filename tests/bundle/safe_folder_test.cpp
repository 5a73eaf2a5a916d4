#include "bundle/safe_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

namespace fs = std::filesystem;

// Every promise holds with and without openat2.
class SafeFolderBy : public ::testing::TestWithParam<Resolver> {
 protected:
  SafeFolderBy() {
    fs::create_directories(root() / "d");
    fs::create_directory(outside());
    std::ofstream(outside() / "secret") << "secret";
    fd_ = ::open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    folder_ = std::make_unique<SafeFolder>(fd_, GetParam());
  }
  ~SafeFolderBy() override { ::close(fd_); }
  fs::path root() const { return temporary_.path() / "root"; }
  fs::path outside() const { return temporary_.path() / "outside"; }
  template <class Call>
  void refused(Call call) {
    testing::error_of(ErrorKind::kBadBundle, call);
    EXPECT_EQ(std::distance(fs::directory_iterator(outside()), {}), 1);
  }

  testing::TemporaryFolder temporary_;
  int fd_ = -1;
  std::unique_ptr<SafeFolder> folder_;
};

TEST_P(SafeFolderBy, CreatesBelowItself) {
  folder_->make_folder("d/e");
  ::close(folder_->create_file("d/e/f"));
  folder_->make_link("f", "d/e/g");
  EXPECT_TRUE(fs::is_regular_file(root() / "d/e/f"));
  EXPECT_EQ(fs::read_symlink(root() / "d/e/g"), "f");
  EXPECT_EQ(fs::status(root() / "d/e").permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(root() / "d/e/f").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_P(SafeFolderBy, RefusesAPathThatLeadsOut) {
  refused([&] { folder_->create_file("../outside/new"); });
  refused([&] { folder_->create_file("d/../../outside/new"); });
  refused([&] { folder_->make_folder("../outside/new"); });
  refused([&] { folder_->make_link("x", "../outside/new"); });
}

TEST_P(SafeFolderBy, RefusesALinkInTheMiddle) {
  fs::create_directory_symlink(outside(), root() / "away");
  fs::create_directory_symlink("d", root() / "near");
  refused([&] { folder_->create_file("away/new"); });
  refused([&] { folder_->make_folder("away/new"); });
  refused([&] { folder_->make_link("x", "away/new"); });
  refused([&] { folder_->open_file("away/secret"); });
  refused([&] { folder_->create_file("near/new"); });
}

TEST_P(SafeFolderBy, RefusesALinkAtTheEnd) {
  fs::create_symlink(outside() / "new", root() / "dangling");
  fs::create_symlink(outside() / "secret", root() / "secret");
  refused([&] { folder_->create_file("dangling"); });
  refused([&] { folder_->open_file("secret"); });
  fs::create_directory_symlink(outside(), root() / "away");
  refused([&] { folder_->open_folder("away"); });
}

TEST_P(SafeFolderBy, RefusesANameThatExists) {
  ::close(folder_->create_file("f"));
  refused([&] { folder_->create_file("f"); });
  refused([&] { folder_->make_folder("f"); });
  refused([&] { folder_->make_link("d", "f"); });
}

TEST_P(SafeFolderBy, RefusesAFileAsAFolder) {
  ::close(folder_->create_file("f"));
  refused([&] { folder_->create_file("f/g"); });
}

TEST_P(SafeFolderBy, RefusesAnotherFilesystem) {
  // /proc is one on every Linux; the folder around it is the root of the walk.
  const int slash = ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const SafeFolder all(slash, GetParam());
  testing::error_of(ErrorKind::kBadBundle, [&] { all.open_folder("proc/self"); });
  ::close(slash);
}

INSTANTIATE_TEST_SUITE_P(Resolvers, SafeFolderBy, ::testing::Values(Resolver::kKernel, Resolver::kByComponent),
                         [](const auto& resolver) {
                           return resolver.param == Resolver::kKernel ? "Kernel" : "ByComponent";
                         });

}  // namespace
}  // namespace holdall::bundle
