#include "runtime/service/edits/shared_edits.h"

#include <utility>

namespace holdall::runtime::service {
namespace {

// Tells all who wait; telling one may make another leave.
template <class Flight, class Call>
void each(const std::shared_ptr<Flight>& flight, Call call) {
  const auto listeners = flight->waiting;
  for (const auto& [ticket, listener] : listeners)
    if (flight->waiting.contains(ticket)) call(listener);
}

}  // namespace

SharedEdits::Ticket SharedEdits::submit(EditSubmission submission, EditListener listener, const std::string& key) {
  const bool shared = !key.empty() && !submission.deadline;
  const auto found = shared ? by_key_.find(key) : by_key_.end();
  Ticket ticket;
  std::shared_ptr<Flight> flight;
  if (found != by_key_.end()) {
    flight = found->second;
    const auto place = queue_.place(flight->ticket);
    ticket = {++last_ticket_, place ? place->position : 0, true};
  } else {
    flight = std::make_shared<Flight>();
    const auto queued = queue_.submit(std::move(submission), listener_of(*this, flight));
    flight->ticket = queued.id;
    ticket = {++last_ticket_, queued.position, false};
    if (shared) by_key_.emplace(flight->key = key, flight);
  }
  flight->waiting.emplace(ticket.id, std::move(listener));
  by_ticket_.emplace(ticket.id, flight);
  return ticket;
}

EditListener SharedEdits::listener_of(SharedEdits& shared, const std::shared_ptr<Flight>& flight) {
  EditListener listener;
  listener.started = [flight](int attempt) {
    each(flight, [&](const EditListener& one) {
      if (one.started) one.started(attempt);
    });
  };
  listener.progress = [flight](const EditProgress& progress) {
    each(flight, [&](const EditListener& one) {
      if (one.progress) one.progress(progress);
    });
  };
  listener.partial = [flight](int index, const EditedPicture& picture) {
    each(flight, [&](const EditListener& one) {
      if (one.partial) one.partial(index, picture);
    });
  };
  listener.done = [&shared, flight](const EditOutcome& outcome) { shared.land(*flight, outcome); };
  return listener;
}

void SharedEdits::land(Flight& flight, const EditOutcome& outcome) {
  if (!flight.key.empty()) by_key_.erase(flight.key);
  const auto waiting = std::exchange(flight.waiting, {});
  for (const auto& [ticket, listener] : waiting) by_ticket_.erase(ticket);
  for (const auto& [ticket, listener] : waiting)
    if (listener.done) listener.done(outcome);
}

void SharedEdits::cancel(std::uint64_t ticket, const char* reason) {
  const auto at = by_ticket_.find(ticket);
  if (at == by_ticket_.end()) return;
  const std::shared_ptr<Flight> flight = at->second;
  by_ticket_.erase(at);
  flight->waiting.erase(ticket);
  if (!flight->waiting.empty()) return;
  if (!flight->key.empty()) by_key_.erase(flight->key);
  queue_.cancel(flight->ticket, reason);
}

}  // namespace holdall::runtime::service
