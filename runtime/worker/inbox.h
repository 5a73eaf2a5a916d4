// What the service has sent, read by a thread of its own so that a cancellation is seen while an edit runs.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "runtime/ipc/channel.h"

namespace holdall::runtime::worker {

class Inbox {
 public:
  // Reads from `fd`, the caller's, until "stop", the end of the stream or a broken frame.
  explicit Inbox(int fd);
  ~Inbox();  // shuts the reading half of `fd` down

  struct Edit {
    std::string id;
    ipc::Frame frame;
  };
  // Waits. nullopt: nothing more will come, because of "stop" or because the service is gone.
  std::optional<Edit> next();
  // Whether this edit is not wanted any more, or nobody is left to want it.
  bool cancelled(const std::string& id);
  // Forgets a cancellation: the edit has its reply.
  void answered(const std::string& id);

 private:
  void read();
  bool take(ipc::Frame frame);

  const int fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Edit> edits_;
  std::set<std::string> cancelled_;
  bool closed_ = false, gone_ = false;
  std::thread thread_;
};

}  // namespace holdall::runtime::worker
