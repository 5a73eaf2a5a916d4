#include "runtime/service/worker/worker_process.h"

#include <sys/wait.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <utility>

#include "runtime/error.h"
#include "runtime/service/worker/spawn.h"

namespace holdall::runtime::service {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

std::string describe(int status, bool by_us) {
  if (WIFSIGNALED(status))
    return "killed by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")" +
           (WTERMSIG(status) == SIGKILL && !by_us ? ", as the kernel does where memory runs out" : "");
  if (WEXITSTATUS(status) == 127) return "could not be executed";
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

class WorkerProcess::Impl : public std::enable_shared_from_this<WorkerProcess::Impl> {
 public:
  Impl(asio::io_context& io, const Options& options, WorkerEvents& events)
      : io_(io), options_(options), events_(&events), socket_(io), child_signal_(io, SIGCHLD) {}

  void start() {
    std::vector<std::string> arguments{"serve",    "--fd",         "{fd}", "--model", options_.model.string(),
                                       "--device", options_.device};
    if (!options_.dtype.empty()) arguments.insert(arguments.end(), {"--dtype", options_.dtype});
    if (!options_.golden.empty()) arguments.insert(arguments.end(), {"--golden", options_.golden});
    const Spawned worker = spawn_worker(options_.worker.string(), std::move(arguments));
    pid_ = worker.pid;
    stopping_ = ended_ = killed_ = false;
    decoder_ = {};
    outgoing_.clear();
    socket_ = asio::local::stream_protocol::socket(io_, asio::local::stream_protocol(), worker.fd);
    ++generation_;
    read();
    if (!std::exchange(waiting_, true)) wait_for_child();
  }

  void send(const ipc::Frame& frame) {
    if (pid_ < 0 || ended_) return;
    outgoing_.push_back(ipc::encode(frame));
    if (outgoing_.size() == 1) write();
  }

  void stop() {
    stopping_ = true;
    send({R"({"type":"stop"})", {}});
  }

  void kill() {
    killed_ = true;
    if (pid_ > 0) ::kill(pid_, SIGKILL);
  }

  // Nothing is called back any more.
  void abandon() {
    events_ = nullptr;
    kill();
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    error_code ignored;
    socket_.close(ignored);
    child_signal_.cancel(ignored);
  }

  bool running() const { return pid_ > 0; }

 private:
  void read() {
    socket_.async_read_some(asio::buffer(incoming_),
                            [self = shared_from_this(), g = generation_](error_code error, std::size_t n) {
                              if (g == self->generation_ && self->events_) self->on_read(error, n);
                            });
  }

  void on_read(error_code error, std::size_t size) {
    if (error) return on_end();
    try {
      decoder_.feed(incoming_.data(), size);
      while (auto frame = decoder_.next()) {
        events_->on_frame(std::move(*frame));
        if (!events_ || ended_) return;
      }
    } catch (const Error& broken) {
      fault_ = broken.what();
      kill();
      return on_end();
    }
    read();
  }

  // The stream has ended: whatever the process still does, nobody hears of it.
  void on_end() {
    ended_ = true;
    error_code ignored;
    socket_.close(ignored);
    if (!stopping_) kill_unless_exiting();
    collect();
  }

  // A worker that exits closes its socket first; its status must not be overwritten by our signal.
  void kill_unless_exiting() {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) {
      grace_.expires_after(std::chrono::seconds(1));
      grace_.async_wait([self = shared_from_this(), g = generation_](error_code error) {
        if (!error && g == self->generation_ && self->ended_) self->kill();
      });
    }
  }

  void write() {
    asio::async_write(socket_, asio::buffer(outgoing_.front()),
                      [self = shared_from_this(), g = generation_](error_code error, std::size_t) {
                        if (g != self->generation_ || !self->events_ || error || self->outgoing_.empty())
                          return;  // the reader sees the end too
                        self->outgoing_.pop_front();
                        if (!self->outgoing_.empty()) self->write();
                      });
  }

  void wait_for_child() {
    child_signal_.async_wait([self = shared_from_this()](error_code error, int) {
      if (error || !self->events_) return;
      self->wait_for_child();
      self->collect();
    });
  }

  // Collects the process once both its stream and its life have ended, so that its last frames are read first.
  void collect() {
    int status = 0;
    if (pid_ < 0 || !ended_ || ::waitpid(pid_, &status, WNOHANG) != pid_) return;
    pid_ = -1;
    ++generation_;
    grace_.cancel();
    const std::string reason = fault_.empty() ? describe(status, killed_) : fault_;
    fault_.clear();
    events_->on_exit(reason, stopping_);
  }

  asio::io_context& io_;
  const Options& options_;
  WorkerEvents* events_;
  asio::local::stream_protocol::socket socket_;
  asio::signal_set child_signal_;
  asio::steady_timer grace_{io_};
  std::array<char, 1 << 16> incoming_;
  ipc::Decoder decoder_;
  std::deque<std::string> outgoing_;
  std::string fault_;
  std::uint64_t generation_ = 0;  // of the process: what an earlier one left pending is ignored
  pid_t pid_ = -1;
  bool stopping_ = false, ended_ = true, waiting_ = false, killed_ = false;
};

WorkerProcess::WorkerProcess(asio::io_context& io, const Options& options, WorkerEvents& events)
    : impl_(std::make_shared<Impl>(io, options, events)) {}
WorkerProcess::~WorkerProcess() {
  impl_->abandon();
}
void WorkerProcess::start() {
  impl_->start();
}
void WorkerProcess::send(const ipc::Frame& frame) {
  impl_->send(frame);
}
void WorkerProcess::stop() {
  impl_->stop();
}
void WorkerProcess::kill() {
  impl_->kill();
}
bool WorkerProcess::running() const noexcept {
  return impl_->running();
}

}  // namespace holdall::runtime::service
