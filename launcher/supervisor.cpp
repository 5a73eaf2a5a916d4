#include "launcher/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bundle/error.h"
#include "launcher/log_files.h"
#include "launcher/signal_watch.h"
#include "launcher/supervision.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;
using nlohmann::json;

// The child's word on how the first start went, one JSON object before it closes the pipe.
void tell(FileDescriptor& pipe, const json& word) {
  if (!pipe) return;
  const std::string text = word.dump(-1, ' ', false, json::error_handler_t::replace);
  (void)!::write(pipe.get(), text.data(), text.size());
  pipe.reset();
}

json failure_word(ErrorKind kind, const std::string& message) {
  return {{"error", message}, {"exit_code", bundle::exit_code(kind)}};
}

// The supervisor in the background. Nothing of the parent's may run after it: leaves by _exit.
[[noreturn]] void become_background(Store& store, const ServiceOptions& service, SupervisorOptions options,
                                    FileDescriptor pipe) {
  int status = bundle::exit_code(ErrorKind::kInternal);
  try {
    ::setsid();
    LogWriter log(store.directory_fd(), {service.log_bytes, service.log_files});
    options.on_child_end = [&log] { log.tend(); };
    const FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null || ::dup2(null.get(), STDIN_FILENO) < 0 || ::dup2(log.pipe(), STDOUT_FILENO) < 0 ||
        ::dup2(log.pipe(), STDERR_FILENO) < 0)
      throw bundle::system_error(errno, "redirect to", "service.log");
    options.on_running = [&](const std::string& url, const std::optional<std::string>& failure) {
      tell(pipe, failure ? failure_word(ErrorKind::kNotReady, *failure + "; the last good release serves at " + url)
                         : json{{"url", url}});
    };
    status = supervise(store, service, options);
  } catch (const Error& error) {
    tell(pipe, failure_word(error.kind(), error.what()));
    std::cerr << "holdall: " << error.what() << '\n';
    status = exit_code(error.kind());
  } catch (const std::exception& error) {
    tell(pipe, failure_word(ErrorKind::kInternal, error.what()));
    std::cerr << "holdall: internal error: " << error.what() << '\n';
  }
  std::cerr.flush();
  ::_exit(status);
}

// Reads the child's word; a signal meanwhile ends the child first.
std::string hear(const FileDescriptor& pipe, pid_t child, const SignalWatch& signals) {
  std::string text;
  bool interrupted = false;
  while (true) {
    std::array<pollfd, 2> polled{{{pipe.get(), POLLIN, 0}, {signals.fd(), POLLIN, 0}}};
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR)
      throw bundle::system_error(errno, "wait for", "the supervisor");
    for (const int number : signals.take()) {
      if (number == SIGCHLD) continue;
      interrupted = true;
      ::kill(child, number);
    }
    if (polled[0].revents == 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t size = ::read(pipe.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  if (interrupted) {
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    throw Error(ErrorKind::kInterrupted, "interrupted before the service was ready");
  }
  return text;
}

}  // namespace

int supervise(Store& store, const ServiceOptions& service, const SupervisorOptions& options) {
  return Supervision(store, service, options).run();
}

std::string supervise_detached(Store& store, const ServiceOptions& service, const SupervisorOptions& options) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw bundle::system_error(errno, "open", "pipe");
  const FileDescriptor reading(ends[0]);
  FileDescriptor writing(ends[1]);
  std::cout.flush();
  std::cerr.flush();

  const SignalWatch signals;  // before the fork: a signal never ends the one without the other
  const pid_t child = ::fork();
  if (child < 0) throw bundle::system_error(errno, "start", "the supervisor");
  if (child == 0) become_background(store, service, options, std::move(writing));
  writing.reset();
  const std::string text = hear(reading, child, signals);
  const std::string where = store.path() + "/logs/service.log";
  try {
    const json word = json::parse(text);
    if (!word.contains("error")) return word.at("url").get<std::string>();
    throw Error(static_cast<ErrorKind>(word.at("exit_code").get<int>()),
                word["error"].get<std::string>() + " (its output is in '" + where + "')");
  } catch (const json::exception&) {
    throw Error(ErrorKind::kInternal, "the supervisor ended without a word: see '" + where + "'");
  }
}

}  // namespace holdall::launcher
