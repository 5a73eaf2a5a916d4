#include "launcher/switch.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <thread>

#include "launcher/collect.h"
#include "launcher/control_socket.h"
#include "tests/launcher/store_fixture.h"

namespace holdall::launcher {
namespace {

class Switch : public testing::StoreTest {
 protected:
  // How many descriptors of this process are of the store's lock: those that have it, and those that wait for it.
  std::ptrdiff_t open_locks() const {
    return std::ranges::count_if(std::filesystem::directory_iterator("/proc/self/fd"), [this](const auto& descriptor) {
      std::error_code closed;
      return std::filesystem::equivalent(descriptor, path() / "lock", closed);
    });
  }
};

// A supervisor that says it is there and ends. What was to be switched to is not collected while its turn is awaited.
TEST_F(Switch, KeepsTheReleaseFromAGcWhenTheSupervisorGoesAway) {
  good_version("1");
  const std::string fresh = install_version("2");
  Store store = open();
  std::optional<StoreLock> gc_holds = lock(store);
  ControlServer supervisor(store.directory_fd());

  auto switching = std::async(std::launch::async, [&] {
    Store other = open();
    return switch_to(other, std::nullopt, fresh, {}).generation.release;
  });
  for (bool answered = false; !answered;) {
    std::vector<pollfd> polled;
    supervisor.add_to(polled);
    ::poll(polled.data(), polled.size(), 100);
    for (const auto& request : supervisor.take_requests()) {
      supervisor.stop_listening();
      supervisor.answer(request.client, "{}");
      answered = true;
    }
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (open_locks() < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(open_locks(), 2) << "the switch does not wait for the lock";
  EXPECT_TRUE(collect(store, *gc_holds, {.keep = 0, .unused = true}).empty());
  gc_holds.reset();
  EXPECT_EQ(switching.get(), fresh);
}

}  // namespace
}  // namespace holdall::launcher
