#include "runtime/service/edits/edit_router.h"

#include <utility>

#include "runtime/service/api.h"
#include "runtime/service/upstream/upstream.h"

namespace holdall::runtime::service {

// One request on its way.
struct EditRouter::Route {
  std::uint64_t ticket = 0;
  EditSubmission submission;
  EditRequest asked;  // the same without its pictures, which leave with the submission
  EditListener listener;
  std::string key;
  std::shared_ptr<const EditForm> form;
  std::optional<std::uint64_t> local;  // its ticket there
  std::shared_ptr<HttpCall> call;      // while an upstream is asked
  std::optional<HttpError> refusal;    // of who was asked first
};

namespace {

// What another one may do better. Time that has run out is out everywhere.
bool is_ours(const HttpError& error) {
  return error.status() >= 500 && error.status() != 504;
}

HttpError not_ready(const ServiceState& state) {
  return HttpError(503, state.reason, state.detail).retry_after(2);
}

}  // namespace

bool EditRouter::admits() const {
  return state_.admits || (upstream_ != nullptr && upstream_->can_serve());
}

bool EditRouter::is_local() const {
  return upstream_ == nullptr || !upstream_->can_serve() || (!upstream_->is_primary() && state_.admits);
}

SharedEdits::Ticket EditRouter::submit(EditSubmission submission, EditListener listener, const std::string& key,
                                       std::shared_ptr<const EditForm> form) {
  if (upstream_ == nullptr) return local_.submit(std::move(submission), std::move(listener), key);
  auto route = std::make_shared<Route>(
      Route{++last_ticket_, std::move(submission), {}, std::move(listener), key, std::move(form), {}, {}, {}});
  const EditRequest& request = route->submission.request;
  route->asked.task = request.task;
  route->asked.n = request.n;
  route->asked.seed = request.seed;
  route->asked.format = request.format;
  SharedEdits::Ticket ticket{route->ticket, 0, false};
  const bool local = is_local();
  if (local || !ask_upstream(route)) {
    if (!state_.admits) throw not_ready(state_);
    ticket = ask_local(route);
    ticket.id = route->ticket;
  }
  routes_.emplace(route->ticket, route);
  return ticket;
}

bool EditRouter::ask_upstream(const std::shared_ptr<Route>& route) {
  route->call = upstream_->edit(*route->form, route->asked, route->submission.deadline,
                                [this, route](std::optional<EditOutcome> outcome) {
                                  route->call.reset();
                                  if (outcome) return end(route, std::move(*outcome));
                                  fall_back(route);
                                });
  return route->call != nullptr;
}

SharedEdits::Ticket EditRouter::ask_local(const std::shared_ptr<Route>& route) {
  EditListener listener = route->listener;
  listener.done = [this, route](EditOutcome outcome) {
    route->local.reset();
    const auto* error = std::get_if<HttpError>(&outcome);
    // One that the upstream has failed already, or that fails there, too, keeps the answer from here.
    if (!error || !is_ours(*error) || upstream_->is_primary()) return end(route, std::move(outcome));
    route->refusal = *error;
    if (!ask_upstream(route)) end(route, std::move(outcome));
  };
  const auto deadline = route->submission.deadline;
  const auto ticket = local_.submit(std::move(route->submission), std::move(listener), route->key);
  route->submission.deadline = deadline;
  route->local = ticket.id;
  return ticket;
}

// The upstream cannot.
void EditRouter::fall_back(const std::shared_ptr<Route>& route) {
  if (route->refusal) return end(route, *route->refusal);
  if (!state_.admits) return end(route, not_ready(state_));
  try {
    ask_local(route);
  } catch (const HttpError& error) {
    end(route, error);
  }
}

void EditRouter::end(const std::shared_ptr<Route>& route, EditOutcome outcome) {
  routes_.erase(route->ticket);
  if (const auto done = std::exchange(route->listener.done, nullptr)) done(std::move(outcome));
}

void EditRouter::cancel(std::uint64_t ticket, const char* reason) {
  if (upstream_ == nullptr) return local_.cancel(ticket, reason);
  const auto found = routes_.find(ticket);
  if (found == routes_.end()) return;
  const auto route = found->second;
  routes_.erase(found);
  route->listener = {};
  if (route->call) std::exchange(route->call, nullptr)->cancel();
  if (route->local) local_.cancel(*route->local, reason);
}

}  // namespace holdall::runtime::service
