#include "launcher/switch.h"

#include <poll.h>

#include <future>
#include <thread>

#include "launcher/collect.h"
#include "launcher/control_socket.h"
#include "tests/launcher/store_fixture.h"

namespace holdall::launcher {
namespace {

class Switch : public testing::StoreTest {};

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
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // now it waits for the lock
  EXPECT_TRUE(collect(store, *gc_holds, {.keep = 0, .unused = true}).empty());
  gc_holds.reset();
  EXPECT_EQ(switching.get(), fresh);
}

}  // namespace
}  // namespace holdall::launcher
