// A store with releases of the test service, and supervisors that run in processes of their own.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "launcher/supervisor.h"

namespace holdall::launcher::testing {

// Waits for something to become true, at most ten seconds.
bool eventually(const std::function<bool()>& condition);

bool is_alive(pid_t pid);

// One GET; nullopt if the connection was refused, reset or cut short.
std::optional<std::string> get(const std::string& url, const std::string& path);

// A field of `status --json`, as JSON text ("null", "\"running\"", "true", "7").
std::string status_field(const Store& store, const std::string& field);
pid_t status_pid(const Store& store, const std::string& field = "pid");

class SuperviseTest : public ::testing::Test {
 protected:
  SuperviseTest();
  ~SuperviseTest() override;

  // Lays a release out as an installation would; its service gets `settings` (test_service.cpp). The id.
  struct Release {
    std::string version;
    std::vector<std::string> settings = {};
    bundle::SwapMode swap = bundle::SwapMode::kOverlap;
    std::string service = "test_service";
  };
  std::string add_release(const Release& release);
  Generation activate(const std::string& release);
  Generation activate_good(const std::string& release);  // as if it had passed its gate before

  // Runs supervise() in a child. Its end is its exit code (an Error's, if it threw).
  pid_t start_supervisor();
  // start_supervisor() and a wait until it serves; the URL.
  std::string start_and_wait();
  int exit_code_of(pid_t supervisor);
  std::string url();
  std::string version_served();  // the first word of /
  std::string log() const;       // what the supervisors said when they ended with an Error

  std::filesystem::path root_;
  Store store_;
  ServiceOptions service_;
  SupervisorOptions options_;

 private:
  std::vector<pid_t> supervisors_;
};

}  // namespace holdall::launcher::testing
