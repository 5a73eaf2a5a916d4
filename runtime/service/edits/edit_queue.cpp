#include "runtime/service/edits/edit_queue.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <ctime>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/error.h"
#include "runtime/ipc/kinds.h"
#include "runtime/service/edits/watchdog.h"
#include "runtime/service/metrics.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::json;

constexpr double kFirstGuessSeconds = 5, kSmoothing = 0.3;  // of the time one edit takes

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

struct Job {
  std::uint64_t ticket = 0;
  EditRequest request;
  Clock::time_point submitted;
  std::optional<Clock::time_point> deadline;
  EditListener listener;  // its `done` is empty: nobody waits for it any more
  std::string caller{};
  int attempts_left = 1, attempt = 0;
  int partial_images = 0;  // sent by the worker in this attempt
  EditResult result{};
};

HttpError to_http(const json& frame) {
  const std::string message = frame.value("message", "no reason given"), param = frame.value("param", "");
  switch (ipc::kind_of(frame.value("kind", ""))) {
    case ErrorKind::kBadRequest:
      return {400, "invalid_value", message, param};
    case ErrorKind::kTooLarge:
      return {413, "image_too_large", message, param};
    case ErrorKind::kOutOfMemory:
      return HttpError(507, "out_of_memory", message).final();
    default:
      return {500, "edit_failed", message};
  }
}

}  // namespace

class EditQueue::Impl : public std::enable_shared_from_this<EditQueue::Impl> {
 public:
  Impl(boost::asio::io_context& io, Metrics& metrics, std::size_t limit, std::uint64_t max_pixels, Send send)
      : metrics_(metrics),
        limit_(limit),
        max_pixels_(max_pixels),
        send_(std::move(send)),
        timer_(io),
        watch_timer_(io) {
    metrics_.set_queue_limit(static_cast<double>(limit));
  }

  Ticket submit(EditSubmission submission, EditListener listener) {
    if (!submission.accepted_before) throw_if_full();
    waiting_.push_back({++last_ticket_, std::move(submission.request), Clock::now(), submission.deadline,
                        std::move(listener), std::move(submission.caller), submission.attempts});
    const Ticket ticket{last_ticket_, waiting_.size() - 1 + (running_ ? 1 : 0)};
    advance_soon();
    return ticket;
  }

  std::optional<Place> place(std::uint64_t ticket) const {
    const auto it = std::ranges::find(waiting_, ticket, &Job::ticket);
    if (it == waiting_.end()) return std::nullopt;
    double pictures = running_ ? running_->request.n : 0;
    for (auto job = waiting_.begin(); job <= it; ++job) pictures += job->request.n;
    return Place{static_cast<std::size_t>(it - waiting_.begin()) + (running_ ? 1 : 0), pictures * edit_seconds_};
  }

  void throw_if_full() const {
    const std::size_t starts_now = worker_is_ready_ && !running_ ? 1 : 0;
    if (waiting_.size() >= limit_ + starts_now)
      throw HttpError(429, "queue_full", "the queue is full: " + std::to_string(limit_) + " requests wait")
          .retry_after(expected_wait_seconds());
  }

  void cancel(std::uint64_t ticket, const char* reason) {
    if (running_ && running_->ticket == ticket && running_->listener.done) {
      metrics_.job_done("cancelled", reason);
      abandon_running(std::nullopt);
    } else if (std::erase_if(waiting_, [&](const Job& job) { return job.ticket == ticket; }) > 0) {
      metrics_.job_done("cancelled", reason);
    }
    advance();
  }

  void worker_ready() {
    worker_is_ready_ = true;
    advance();
  }

  void worker_lost(const std::string& reason) {
    worker_is_ready_ = false;
    if (running_ && running_->listener.done && running_->attempts_left > 0) {
      waiting_.push_front(std::move(*running_));
      running_.reset();
    } else if (running_) {
      // Final: what killed the worker once would kill it again each time that an SDK repeats it.
      end_running(HttpError(500, "worker_crashed", "the worker ended while it ran this edit: " + reason).final());
    }
    advance();
  }

  void on_frame(ipc::Frame frame) {
    const json header = json::parse(frame.header);
    const std::string type = header.at("type"), id = header.at("id");
    if (!running_ || id != frame_id(*running_))
      throw Error(ErrorKind::kInternal, "the worker speaks of an edit that it was not given: '" + id + "'");
    const int step = header.value("step", 0), total = header.value("total", 0);
    watchdog_.heard(Clock::now(), header.value("stage", "") == "denoise" && step < total);
    if (watchdog_.deadline() < watch_timer_.expiry()) watch_worker();
    if (type == "progress") return on_progress(header);
    if (type == "partial" && frame.parts.size() == 1) return on_partial(header, std::move(frame.parts[0]));
    if (type == "error") {
      const HttpError error = to_http(header);
      if (error.status() == 507) metrics_.out_of_memory(stage_);
      end_running(error);
    } else if (type == "done" && frame.parts.size() == static_cast<std::size_t>(running_->request.n)) {
      on_done(header, std::move(frame.parts));
    } else {
      throw Error(ErrorKind::kInternal, "the worker sent a frame of unknown type '" + type + "'");
    }
    advance();
  }

  void fail_all(const HttpError& error) {
    while (!waiting_.empty()) {
      Job job = std::move(waiting_.front());
      waiting_.pop_front();
      finish(job, error);
    }
    if (running_) abandon_running(error);
    advance();
  }

  void on_hang(std::function<void()> hang) { on_hang_ = std::move(hang); }

  bool idle() const noexcept { return waiting_.empty() && !running_; }
  void on_idle(std::function<void()> idle) { on_idle_ = std::move(idle); }

  double expected_wait_seconds() const noexcept {
    double pictures = running_ ? running_->request.n : 0;
    for (const auto& job : waiting_) pictures += job.request.n;
    return std::max(1.0, pictures * edit_seconds_);
  }

 private:
  static std::string frame_id(const Job& job) {
    return std::to_string(job.ticket) + "." + std::to_string(job.attempt - 1);
  }

  // The first request of the caller who was served longest ago.
  std::deque<Job>::iterator whose_turn() {
    const auto turn_of = [&](const Job& job) {
      const auto it = last_turn_.find(job.caller);
      return it == last_turn_.end() ? 0 : it->second;
    };
    return std::ranges::min_element(waiting_, {}, turn_of);  // the first of equals
  }

  void advance_soon() {
    boost::asio::post(timer_.get_executor(), [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->advance();
    });
  }

  // Starts the next edit if the worker is free, and keeps timer and gauges true.
  void advance() {
    if (worker_is_ready_ && !running_ && !waiting_.empty()) {
      const auto next = whose_turn();
      running_ = std::move(*next);
      waiting_.erase(next);
      last_turn_[running_->caller] = ++turns_;
      --running_->attempts_left;
      running_->result.seconds.queue = seconds(Clock::now() - running_->submitted);
      metrics_.job_started(running_->result.seconds.queue);
      ++running_->attempt;
      running_->partial_images = 0;
      if (running_->listener.started) running_->listener.started(running_->attempt);
      send_edit();
    }
    metrics_.set_queue(static_cast<double>(waiting_.size()), running_ ? 1 : 0);
    watch_deadlines();
    if (idle() && on_idle_) on_idle_();
  }

  void send_edit() {
    const EditRequest& request = running_->request;
    json header = {{"type", "edit"},
                   {"id", frame_id(*running_)},
                   {"prompt", request.prompt},
                   {"seed", request.seed},
                   {"n", request.n},
                   {"format", name_of(request.format)},
                   {"quality", request.compression},
                   {"max_pixels", max_pixels_}};
    if (request.negative_prompt) header["negative_prompt"] = *request.negative_prompt;
    if (request.steps) header["steps"] = *request.steps;
    if (request.true_cfg_scale) header["true_cfg_scale"] = *request.true_cfg_scale;
    if (request.guidance_scale) header["guidance_scale"] = *request.guidance_scale;
    if (request.strength) header["strength"] = *request.strength;
    if (request.partial_images > 0) header["partial_images"] = request.partial_images;
    if (request.short_side) header["short_side"] = *request.short_side;
    if (request.size) header["size"] = {request.size->width, request.size->height};
    auto parts = request.images;
    if (request.mask) {
      header["mask"] = true;
      parts.push_back(*request.mask);
    }
    stage_ = "decode";
    started_ = Clock::now();
    step_started_.reset();
    watchdog_.edit_sent(started_);
    watch_worker();
    send_({header.dump(), std::move(parts)});
  }

  void on_progress(const json& header) {
    stage_ = header.value("stage", "denoise");
    const auto now = Clock::now();
    // From one step's end to the next: the first one's beginning is not told.
    if (stage_ != "denoise") {
      step_started_.reset();
    } else {
      if (step_started_) metrics_.denoise_step_done(seconds(now - *step_started_));
      step_started_ = now;
    }
    if (!running_->listener.done || !running_->listener.progress) return;
    const int step = header.value("step", 0), total = header.value("total", 0);
    const double spent = seconds(now - started_);
    const double left = step > 0 ? spent / step * (total - step) : running_->request.n * edit_seconds_ - spent;
    running_->listener.progress({stage_, step, total, std::max(0.0, left)});
  }

  void on_partial(const json& header, std::vector<std::byte> picture) {
    if (!running_->listener.done || !running_->listener.partial) return;
    running_->listener.partial(running_->partial_images++,
                               {std::move(picture), header.at("width"), header.at("height")});
  }

  void on_done(const json& header, std::vector<std::vector<std::byte>> pictures) {
    Job& job = *running_;
    edit_seconds_ += kSmoothing * (seconds(Clock::now() - started_) / job.request.n - edit_seconds_);
    const json times = header.value("seconds", json::object());
    StageSeconds& sum = job.result.seconds;
    for (const auto& [name, total] : {std::pair{"text", &sum.text}, std::pair{"denoise", &sum.denoise},
                                      std::pair{"vae", &sum.vae}, std::pair{"encode", &sum.encode}}) {
      *total = times.value(name, 0.0);
      metrics_.stage_done(name, *total);
    }
    const json tokens = header.value("tokens", json::object());
    job.result.tokens = {tokens.value("text", std::int64_t{0}), tokens.value("pictures", std::int64_t{0})};
    const std::uint64_t seed = header.at("seed");
    for (auto& picture : pictures)
      job.result.pictures.push_back({std::move(picture), header.at("width"), header.at("height"),
                                     header.value("steps", 0), seed + job.result.pictures.size()});
    job.result.created = std::time(nullptr);
    job.result.format = name_of(job.request.format);
    end_running(std::move(job.result));
  }

  void end_running(EditOutcome outcome) {
    Job job = std::move(*running_);
    running_.reset();
    finish(job, std::move(outcome));
  }

  void finish(Job& job, EditOutcome outcome) {
    const auto done = std::exchange(job.listener.done, nullptr);
    if (!done) return;
    const auto* error = std::get_if<HttpError>(&outcome);
    metrics_.job_done(error ? "failed" : "succeeded", error ? error->code() : "");
    done(std::move(outcome));
  }

  // The worker stays occupied until it has answered the cancellation.
  void abandon_running(const std::optional<HttpError>& error) {
    const std::string id = frame_id(*running_);
    if (error) finish(*running_, *error);
    running_->listener.done = nullptr;
    running_->deadline.reset();
    send_({json{{"type", "cancel"}, {"id", id}}.dump(), {}});
  }

  // The timer is moved forward only: where it ends too early, it goes on.
  void watch_worker() {
    watch_timer_.expires_at(watchdog_.deadline());
    watch_timer_.async_wait([weak = weak_from_this()](boost::system::error_code stopped) {
      const auto self = weak.lock();
      if (!self || stopped || !self->running_ || !self->worker_is_ready_) return;
      if (Clock::now() < self->watchdog_.deadline()) return self->watch_worker();
      if (self->on_hang_) self->on_hang_();
    });
  }

  void watch_deadlines() {
    std::optional<Clock::time_point> first;
    const auto consider = [&](const Job& job) {
      if (job.deadline && (!first || *job.deadline < *first)) first = job.deadline;
    };
    for (const auto& job : waiting_) consider(job);
    if (running_) consider(*running_);
    timer_.cancel();
    if (!first) return;
    timer_.expires_at(*first);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
      if (const auto self = weak.lock(); self && !error) self->expire();
    });
  }

  void expire() {
    const auto now = Clock::now();
    const HttpError late =
        HttpError(504, "deadline_exceeded", "the edit was not done before X-Request-Timeout").final();
    const auto is_late = [&](const Job& job) { return job.deadline && *job.deadline <= now; };
    for (;;) {
      const auto it = std::find_if(waiting_.begin(), waiting_.end(), is_late);
      if (it == waiting_.end()) break;
      Job job = std::move(*it);
      waiting_.erase(it);
      finish(job, late);
    }
    if (running_ && is_late(*running_)) abandon_running(late);
    advance();
  }

  Metrics& metrics_;
  const std::size_t limit_;
  const std::uint64_t max_pixels_;
  const Send send_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer watch_timer_;
  Watchdog watchdog_;
  std::function<void()> on_idle_, on_hang_;
  std::deque<Job> waiting_;
  std::optional<Job> running_;
  std::uint64_t last_ticket_ = 0;
  std::map<std::string, std::uint64_t> last_turn_;  // by caller
  std::uint64_t turns_ = 0;
  std::string stage_;
  Clock::time_point started_;
  std::optional<Clock::time_point> step_started_;
  double edit_seconds_ = kFirstGuessSeconds;
  bool worker_is_ready_ = false;
};

EditQueue::EditQueue(boost::asio::io_context& io, Metrics& metrics, std::size_t limit, std::uint64_t max_pixels,
                     Send send)
    : impl_(std::make_shared<Impl>(io, metrics, limit, max_pixels, std::move(send))) {}
EditQueue::~EditQueue() = default;
EditQueue::Ticket EditQueue::submit(EditSubmission submission, EditListener listener) {
  return impl_->submit(std::move(submission), std::move(listener));
}
std::optional<EditQueue::Place> EditQueue::place(std::uint64_t ticket) const {
  return impl_->place(ticket);
}
void EditQueue::throw_if_full() const {
  impl_->throw_if_full();
}
void EditQueue::cancel(std::uint64_t ticket, const char* reason) {
  impl_->cancel(ticket, reason);
}
void EditQueue::worker_ready() {
  impl_->worker_ready();
}
void EditQueue::worker_lost(const std::string& reason) {
  impl_->worker_lost(reason);
}
void EditQueue::on_frame(ipc::Frame frame) {
  impl_->on_frame(std::move(frame));
}
void EditQueue::fail_all(const HttpError& error) {
  impl_->fail_all(error);
}
void EditQueue::on_hang(std::function<void()> hang) {
  impl_->on_hang(std::move(hang));
}
bool EditQueue::idle() const noexcept {
  return impl_->idle();
}
void EditQueue::on_idle(std::function<void()> idle) {
  impl_->on_idle(std::move(idle));
}
double EditQueue::expected_wait_seconds() const noexcept {
  return impl_->expected_wait_seconds();
}

}  // namespace holdall::runtime::service
