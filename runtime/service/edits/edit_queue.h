// The requests that wait for the worker and the one that runs. Bounded; first come, first served. Lives on the
// service's thread; knows the worker only as frames, and HTTP only as what to answer.
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

struct EditResult {
  std::vector<EditedPicture> pictures;  // as many as the request's n
  StageSeconds seconds;                 // summed over the pictures
};

using EditOutcome = std::variant<EditResult, HttpError>;

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
  // `done` is called once, later: with the pictures, the failure, or 504 when `deadline` has passed.
  // Throws HttpError 429 if the queue is full.
  Ticket submit(EditRequest request, std::optional<Clock::time_point> deadline, std::function<void(EditOutcome)> done);
  void throw_if_full() const;

  // The client is gone: `done` is not called. What runs is cancelled at its next step.
  void cancel(std::uint64_t ticket);

  void worker_ready();
  // Fails what runs; what waits goes on waiting.
  void worker_lost(const std::string& reason);
  // A "progress", "done" or "error" frame. Throws runtime::Error or nlohmann's exceptions if it makes no sense.
  void on_frame(ipc::Frame frame);

  // Fails everything, running and waiting.
  void fail_all(const HttpError& error);

  bool idle() const noexcept;                     // nothing waits or runs
  void on_idle(std::function<void()> idle);       // called when that becomes so
  double expected_wait_seconds() const noexcept;  // for one more request, from measured times

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdall::runtime::service
