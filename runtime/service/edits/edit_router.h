// Who makes an edit: the model here, or an upstream, and the other one where the first cannot.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/service/edits/shared_edits.h"

namespace holdall::runtime::service {

class HttpCall;
class Upstream;
struct ServiceState;

class EditRouter {
 public:
  // `upstream`: null for none. All outlive it.
  EditRouter(SharedEdits& local, Upstream* upstream, const ServiceState& state)
      : local_(local), upstream_(upstream), state_(state) {}

  bool has_upstream() const noexcept { return upstream_ != nullptr; }
  // Whether there is anybody to ask. Else state.reason says why not.
  bool admits() const;
  // Whether the model here is asked first, so that its queue counts.
  bool is_local() const;

  // As SharedEdits::submit(). `form`: what an upstream gets; null where there is none.
  SharedEdits::Ticket submit(EditSubmission submission, EditListener listener, const std::string& key,
                             std::shared_ptr<const EditForm> form);
  bool in_progress(const std::string& key) const { return local_.in_progress(key); }
  void cancel(std::uint64_t ticket, const char* reason);

 private:
  struct Route;
  bool ask_upstream(const std::shared_ptr<Route>& route);
  SharedEdits::Ticket ask_local(const std::shared_ptr<Route>& route);
  void fall_back(const std::shared_ptr<Route>& route);
  void end(const std::shared_ptr<Route>& route, EditOutcome outcome);

  SharedEdits& local_;
  Upstream* const upstream_;
  const ServiceState& state_;
  std::map<std::uint64_t, std::shared_ptr<Route>> routes_;
  std::uint64_t last_ticket_ = 0;
};

}  // namespace holdall::runtime::service
