// A small service for the supervisor's tests: answers HTTP on the sockets it inherits, and misbehaves as its arguments
// say.
//
//   version=TEXT           what / answers (with the process's pid behind it)
//   ready_after_ms=N       how long the warm-up lasts            never_ready
//   status=TEXT            STATUS= before the gate               exit_before_ready=N
//   drain_ms=N             how long it lingers after SIGTERM     ignore_term
//   answer_ms=N            how long / takes                      state=FOLDER, fails_if=FILE: no gate while FILE exists
//   errs_every=N           each Nth answer to / is a 500         dies_after=N   answers to /      no_metrics
//
// GET /environment, /descriptors and /process tell what it was given, /metrics what it has answered. It accepts on http
// only once ready.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t terminated = 0;
void on_terminate(int) {
  terminated = 1;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

void notify(const std::string& text) {
  const std::string to = variable("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, to.data(), to.size());
  if (!to.empty() && to.front() == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ::sendto(fd, text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + to.size()));
  ::close(fd);
}

std::string contents(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Answered {
  int good = 0, bad = 0;
};

std::string metrics(const Answered& answered) {
  return "# TYPE test_requests_total counter\ntest_requests_total{code=\"200\"} " + std::to_string(answered.good) +
         "\ntest_requests_total{code=\"500\"} " + std::to_string(answered.bad) + "\n";
}

std::string body_of(const std::string& path, std::map<std::string, std::string>& settings) {
  if (path == "/environment") {
    std::string text;
    for (char** item = ::environ; *item; ++item) text += std::string(*item) + "\n";
    return text;
  }
  if (path == "/descriptors") {
    std::string text;
    for (const auto& item : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      text += item.path().filename().string() + " " + std::filesystem::read_symlink(item.path(), gone).string() + "\n";
    }
    return text;
  }
  if (path == "/process")
    return "cwd " + std::filesystem::current_path().string() + "\nstate " + settings["state"] + "\n" +
           contents("/proc/self/status");
  if (settings.contains("answer_ms"))
    std::this_thread::sleep_for(std::chrono::milliseconds(std::stoi(settings["answer_ms"])));
  return settings["version"] + " " + std::to_string(::getpid()) + "\n";
}

void serve(int listener, std::map<std::string, std::string>& settings, Answered& answered) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return;
  const timeval limit{2, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::string request;
  char buffer[1024];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t size = ::recv(fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EINTR) continue;  // a SIGTERM must not cost the request that is being read
    if (size <= 0) break;
    request.append(buffer, static_cast<std::size_t>(size));
  }
  std::string method, path;
  std::istringstream(request) >> method >> path;
  const bool is_metrics = path == "/metrics" && !settings.contains("no_metrics");
  const std::string body = is_metrics ? metrics(answered) : body_of(path, settings);
  bool good = path != "/metrics" || is_metrics;
  if (path == "/") {
    const int count = answered.good + answered.bad + 1;
    good = !settings.contains("errs_every") || count % std::stoi(settings["errs_every"]) != 0;
    ++(good ? answered.good : answered.bad);
    if (settings.contains("dies_after") && count > std::stoi(settings["dies_after"])) std::abort();
  }
  const std::string answer = std::string("HTTP/1.1 ") + (good ? "200 OK" : "500 Failed") +
                             "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                             body;
  ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
  ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> settings;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equals = argument.find('=');
    settings[argument.substr(0, equals)] = equals == std::string::npos ? "" : argument.substr(equals + 1);
  }
  struct sigaction action {};
  action.sa_handler = settings.contains("ignore_term") ? SIG_IGN : on_terminate;
  ::sigaction(SIGTERM, &action, nullptr);

  if (variable("LISTEN_PID") != std::to_string(::getpid()) || variable("LISTEN_FDS") != "2" ||
      variable("LISTEN_FDNAMES") != "http:health") {
    notify("STATUS=wrong LISTEN variables");
    return 70;
  }
  if (settings.contains("status")) notify("STATUS=" + settings["status"]);
  if (settings.contains("exit_before_ready")) return std::stoi(settings["exit_before_ready"]);
  if (settings.contains("fails_if") && std::filesystem::exists(settings["fails_if"])) {
    notify("STATUS=" + settings["fails_if"] + " is in the way");
    return 1;
  }

  const auto ready_at =
      Clock::now() +
      std::chrono::milliseconds(settings.contains("ready_after_ms") ? std::stoi(settings["ready_after_ms"]) : 0);
  bool ready = false;
  Answered answered;
  while (!terminated) {
    if (!ready && !settings.contains("never_ready") && Clock::now() >= ready_at) {
      ready = true;
      notify("READY=1\nSTATUS=serving");
    }
    pollfd polled[] = {{4, POLLIN, 0}, {ready ? 3 : -1, POLLIN, 0}};
    if (::poll(polled, 2, ready ? -1 : 5) <= 0) continue;
    for (const pollfd& item : polled)
      if (item.revents & POLLIN) serve(item.fd, settings, answered);
  }
  notify("STOPPING=1");
  if (settings.contains("drain_ms"))
    std::this_thread::sleep_for(std::chrono::milliseconds(std::stoi(settings["drain_ms"])));
  return 0;
}
