// The requests that wait for the worker and the one that runs. Bounded; callers take turns, and each one's requests are
// served as they came. Lives on the service's thread; knows the worker only as frames, and HTTP only as what to answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runtime/ipc/channel.h"
#include "runtime/service/edits/edit_request.h"
#include "runtime/service/http/http_error.h"

namespace boost::asio {
class io_context;
}

namespace holdall::runtime::service {

class Metrics;

struct EditedPicture {
  std::vector<std::byte> bytes;  // encoded
  int width = 0, height = 0, steps = 0;
  std::uint64_t seed = 0;
};

struct StageSeconds {
  double queue = 0, text = 0, denoise = 0, vae = 0, encode = 0;
};

struct InputTokens {
  std::int64_t text = 0, pictures = 0;
};

struct EditResult {
  std::vector<EditedPicture> pictures;  // as many as the request's n
  InputTokens tokens;                   // what the model read
  StageSeconds seconds;                 // summed over the pictures
  std::int64_t created = 0;             // Unix time
  std::string format;                   // png, jpeg, webp
  std::string served_by{};              // the upstream that made them; empty: this model
};

using EditOutcome = std::variant<EditResult, HttpError>;

struct EditProgress {
  std::string stage;  // decode, text, denoise, vae, encode
  int step = 0, total = 0;
  double eta_seconds = 0;  // of the whole request, from measured times
};

// What the owner of a request is told. Each may be empty.
struct EditListener {
  std::function<void(EditOutcome)> done{};  // once, at the end
  std::function<void(int attempt)> started{};
  std::function<void(const EditProgress&)> progress{};
  std::function<void(int index, const EditedPicture&)> partial{};  // what it looks like by now
};

struct EditSubmission {
  EditRequest request;
  std::string caller{};                         // takes turns with the others
  std::optional<Clock::time_point> deadline{};  // then it fails with 504
  int attempts = 1;                             // how often it may be started: a worker that ends may be at fault
  bool accepted_before = false;                 // by an earlier process: it waits even where the queue is full
};

class EditQueue {
 public:
  using Send = std::function<void(const ipc::Frame&)>;

  // `limit`: how many may wait besides the one that runs. `io` and `metrics` outlive the queue.
  EditQueue(boost::asio::io_context& io, Metrics& metrics, std::size_t limit, std::uint64_t max_pixels, Send send);
  ~EditQueue();

  struct Ticket {
    std::uint64_t id = 0;
    std::size_t position = 0;  // how many are before it
  };
  // The listener is called later, never before this returns. Throws HttpError 429 if the queue is full.
  Ticket submit(EditSubmission submission, EditListener listener);
  void throw_if_full() const;

  // Nobody waits for it any more: its listener is not called. What runs is cancelled at its next step. `reason`: of
  // metrics.
  void cancel(std::uint64_t ticket, const char* reason);

  struct Place {
    std::size_t position = 0;  // how many are before it
    double eta_seconds = 0;    // until it is done, from measured times
  };
  std::optional<Place> place(std::uint64_t ticket) const;  // nullopt once it runs or has ended

  void worker_ready();
  // What runs waits again, first in its turn, if it has attempts left, else fails; what waits goes on waiting.
  void worker_lost(const std::string& reason);
  // A "progress", "partial", "done" or "error" frame. Throws runtime::Error or nlohmann's exceptions if it makes no
  // sense.
  void on_frame(ipc::Frame frame);

  // Fails everything, running and waiting.
  void fail_all(const HttpError& error);

  // Called when the worker has been silent for too long (watchdog.h) while it runs an edit.
  void on_hang(std::function<void()> hang);

  bool idle() const noexcept;                     // nothing waits or runs
  void on_idle(std::function<void()> idle);       // called when that becomes so
  double expected_wait_seconds() const noexcept;  // for one more request, from measured times

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdall::runtime::service
