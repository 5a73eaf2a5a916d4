// A host that gives no more threads: what can go on does, the rest says why it cannot.
#include "bundle/threads.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iostream>
#include <system_error>
#include <thread>

#include "bundle/atomic_file.h"
#include "bundle/extract.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;

constexpr std::size_t kStack = std::size_t{256} << 20, kOther = std::size_t{128} << 20;

// How many threads can run at once.
int threads_to_be_had() {
  std::atomic<bool> done = false;
  std::vector<std::jthread> threads;
  try {
    while (threads.size() < 10) threads.emplace_back([&] { done.wait(false); });
  } catch (const std::system_error&) {
  }
  done = true;
  done.notify_all();
  return static_cast<int>(threads.size());
}

// Runs `body` in a process whose address space has room for the stacks of so many threads. Its exit status: 0, or 1 if
// `body` threw.
int with_threads(int most, const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    pthread_attr_t attributes;
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t size = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + most * kStack + kOther;
    const rlimit limit{size, size};
    if (::pthread_getattr_default_np(&attributes) != 0 || ::pthread_attr_setstacksize(&attributes, kStack) != 0 ||
        ::pthread_setattr_default_np(&attributes) != 0 || ::setrlimit(RLIMIT_AS, &limit) != 0 ||
        threads_to_be_had() != most)
      ::_exit(2);
    try {
      body();
    } catch (const std::exception& error) {
      std::cerr << error.what() << std::endl;
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class FewThreads : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (std::string_view(HOLDALL_SANITIZERS) != "") GTEST_SKIP() << "sanitizers need address space without limit";
  }
};
INSTANTIATE_TEST_SUITE_P(Threads, FewThreads, ::testing::Values(0, 1));

TEST_P(FewThreads, DoAllOfTheWork) {
  EXPECT_EQ(with_threads(GetParam(),
                         [] {
                           std::atomic<int> runs = 0;
                           run_in_threads(4, [&](unsigned) { ++runs; });
                           if (runs != GetParam() + 1) throw std::runtime_error(std::to_string(runs));
                         }),
            0);
}

TEST_P(FewThreads, VerifyABundle) {
  const Reader reader = open_bytes(pack({{"data", EntryType::kRegular, noise(700, 5)}}).archive);
  EXPECT_EQ(with_threads(GetParam(),
                         [&] {
                           if (!verify(reader, 4).ok()) throw std::runtime_error("it has faults");
                         }),
            0);
}

TEST_P(FewThreads, UnpackABundle) {
  std::vector<Member> members;
  for (int i = 0; i < 200; ++i) members.push_back({std::to_string(i), EntryType::kRegular, std::to_string(i)});
  const Reader reader = open_bytes(pack(members).archive);
  const TemporaryFolder folder;
  const int tree = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ExtractOptions options;
  options.prefix = folder.path();
  options.threads = 4;
  EXPECT_EQ(with_threads(GetParam(), [&] { extract(reader, tree, options); }), 0);
  ::close(tree);
  for (const Member& member : members) {
    std::string contents;
    std::ifstream(folder.path() / member.path) >> contents;
    EXPECT_EQ(contents, member.contents);
  }
}

TEST_P(FewThreads, WriteAFileOfManyBlocks) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "out";
  EXPECT_EQ(with_threads(GetParam(),
                         [&] {
                           AtomicFile file(path);
                           file.write(bytes_of(std::string(9 << 20, 'x')));
                           file.commit();
                         }),
            0);
  EXPECT_EQ(std::filesystem::file_size(path), 9u << 20);
}

TEST_P(FewThreads, AreTooFewToPack) {
  EXPECT_EQ(with_threads(GetParam(),
                         [] {
                           const std::string message = error_of(ErrorKind::kInternal, [] { pack({}, {.threads = 2}); });
                           if (message.find("cannot start 4 threads: ") == message.npos)
                             throw std::runtime_error(message);
                         }),
            0);
}

}  // namespace
}  // namespace holdall::bundle
