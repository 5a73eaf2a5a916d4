// Identical requests in progress are edited once: the later ones wait for the first one's result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "runtime/service/edits/edit_queue.h"

namespace holdall::runtime::service {

class SharedEdits {
 public:
  // `queue` outlives it.
  explicit SharedEdits(EditQueue& queue) : queue_(queue) {}

  struct Ticket {
    std::uint64_t id = 0;
    std::size_t position = 0;
    bool joined = false;  // another request's result is waited for
  };
  // `key`: of what decides about the result; empty: not to be shared. Nor is a request with a deadline of its own.
  // Throws as EditQueue::submit().
  Ticket submit(EditSubmission submission, EditListener listener, const std::string& key);
  bool in_progress(const std::string& key) const { return !key.empty() && by_key_.contains(key); }

  // As EditQueue::cancel(), once nobody else waits for the result.
  void cancel(std::uint64_t ticket, const char* reason);

 private:
  struct Flight {
    std::string key{};
    std::uint64_t ticket = 0;  // of the queue
    std::map<std::uint64_t, EditListener> waiting{};
  };
  static EditListener listener_of(SharedEdits& shared, const std::shared_ptr<Flight>& flight);
  void land(Flight& flight, const EditOutcome& outcome);

  EditQueue& queue_;
  std::map<std::string, std::shared_ptr<Flight>> by_key_;
  std::map<std::uint64_t, std::shared_ptr<Flight>> by_ticket_;
  std::uint64_t last_ticket_ = 0;
};

}  // namespace holdall::runtime::service
