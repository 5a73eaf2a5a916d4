#include "runtime/worker/inbox.h"

#include <sys/socket.h>

#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

namespace holdall::runtime::worker {

Inbox::Inbox(int fd) : fd_(fd), thread_([this] { read(); }) {}

Inbox::~Inbox() {
  ::shutdown(fd_, SHUT_RD);
  thread_.join();
}

std::optional<Inbox::Edit> Inbox::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !edits_.empty() || closed_; });
  if (edits_.empty() || gone_) return std::nullopt;
  Edit edit = std::move(edits_.front());
  edits_.pop_front();
  return edit;
}

bool Inbox::cancelled(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return gone_ || cancelled_.contains(id);
}

void Inbox::answered(const std::string& id) {
  const std::lock_guard lock(mutex_);
  cancelled_.erase(id);
}

void Inbox::read() {
  bool stopped = false;
  try {
    while (!stopped) {
      auto frame = ipc::receive(fd_);
      if (!frame) break;
      stopped = take(std::move(*frame));
    }
  } catch (const std::exception&) {
    // A broken stream is a service that is gone: nothing can be said to it.
  }
  const std::lock_guard lock(mutex_);
  closed_ = true;
  gone_ = !stopped;
  changed_.notify_all();
}

// True after "stop".
bool Inbox::take(ipc::Frame frame) {
  const auto header = nlohmann::json::parse(frame.header);
  const std::string type = header.at("type");
  const std::lock_guard lock(mutex_);
  if (type == "stop") return true;
  if (type == "edit") edits_.push_back({header.at("id"), std::move(frame)});
  if (type == "cancel") cancelled_.insert(header.at("id").get<std::string>());
  changed_.notify_all();
  return false;
}

}  // namespace holdall::runtime::worker
