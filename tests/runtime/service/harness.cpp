#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <sstream>

namespace holdall::runtime::service::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kPatienceMs = 10'000;

int connect_to(int port, int receive_buffer) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

int port_of(const std::string& url) {
  return std::stoi(url.substr(url.rfind(':') + 1));
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  for (int waited = 0; waited < kPatienceMs; waited += 5) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

Folder::Folder() {
  std::string name = (fs::temp_directory_path() / "holdall-service.XXXXXX").string();
  if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a folder");
  path_ = name;
}
Folder::~Folder() {
  fs::remove_all(path_);
}
void Folder::write(const std::string& name, const std::string& text) const {
  std::ofstream(path_ / name) << text;
}
std::string Folder::read(const std::string& name) const {
  std::ostringstream out;
  out << std::ifstream(path_ / name).rdbuf();
  return out.str();
}

Client::Client(int port, int receive_buffer) : fd_(connect_to(port, receive_buffer)) {}
Client::~Client() {
  close();
}
void Client::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

bool Client::send(const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

bool Client::fill() {
  pollfd ready{fd_, POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) return false;
  std::array<char, 1 << 16> chunk;
  const auto n = ::recv(fd_, chunk.data(), chunk.size(), 0);
  if (n > 0) buffer_.append(chunk.data(), static_cast<std::size_t>(n));
  return n > 0;
}

std::optional<Reply> Client::read_reply(bool head_only) {
  std::size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == buffer_.npos)
    if (!fill()) return std::nullopt;
  std::istringstream head(buffer_.substr(0, end + 2));
  buffer_.erase(0, end + 4);
  Reply reply;
  std::string line;
  std::getline(head, line);
  reply.status = std::stoi(line.substr(9, 3));
  while (std::getline(head, line)) {
    const auto colon = line.find(':');
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    reply.headers[name] = line.substr(colon + 2, line.size() - colon - 3);
  }
  if (reply.status == 100) return read_reply(head_only);
  if (reply.headers.count("transfer-encoding") > 0) {
    const auto body = read_chunks();
    reply.body = body.value_or("");
    return body ? std::optional(reply) : std::nullopt;
  }
  const std::size_t size = head_only ? 0 : std::stoul(reply.headers.at("content-length"));
  while (buffer_.size() < size)
    if (!fill()) return std::nullopt;
  reply.body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return reply;
}

std::optional<std::string> Client::read_chunks() {
  std::string body;
  for (;;) {
    std::size_t line;
    while ((line = buffer_.find("\r\n")) == buffer_.npos)
      if (!fill()) return std::nullopt;
    const std::size_t size = std::stoul(buffer_.substr(0, line), nullptr, 16);
    while (buffer_.size() < line + 2 + size + 2)
      if (!fill()) return std::nullopt;
    body += buffer_.substr(line + 2, size);
    buffer_.erase(0, line + 2 + size + 2);
    if (size == 0) return body;
  }
}

bool Client::read_until(const std::string& mark) {
  std::size_t at;
  while ((at = buffer_.find(mark)) == buffer_.npos)
    if (!fill()) return false;
  buffer_.erase(0, at + mark.size());
  return true;
}

bool Client::read_line(std::string& line) {
  std::size_t at;
  while ((at = buffer_.find('\n')) == buffer_.npos)
    if (!fill()) return false;
  line = buffer_.substr(0, at);
  buffer_.erase(0, at + 1);
  return true;
}

std::size_t Client::skip(std::size_t most) {
  std::string bytes(most, 0);
  pollfd ready{fd_, POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) return 0;
  const auto n = ::recv(fd_, bytes.data(), most, 0);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool Client::closed_by_server() {
  pollfd ready{fd_, POLLIN, 0};
  char byte;
  return ::poll(&ready, 1, kPatienceMs) == 1 && ::recv(fd_, &byte, 1, 0) <= 0;
}

std::string from_base64(const std::string& text) {
  std::string bytes;
  unsigned word = 0, bits = 0;
  for (const char c : text) {
    const auto at = std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/").find(c);
    if (at == std::string_view::npos) break;
    word = word << 6 | static_cast<unsigned>(at), bits += 6;
    if (bits >= 8) bytes.push_back(static_cast<char>(word >> (bits -= 8) & 0xff));
  }
  return bytes;
}

std::string multipart(const std::vector<Part>& parts) {
  std::string out;
  for (const auto& part : parts) {
    out += std::string("--") + kBoundary + "\r\nContent-Disposition: form-data; name=\"" + part.name + "\"";
    if (!part.filename.empty()) out += "; filename=\"" + part.filename + "\"\r\nContent-Type: application/octet-stream";
    out += "\r\n\r\n" + part.data + "\r\n";
  }
  return out + "--" + kBoundary + "--\r\n";
}

std::string request(const std::string& method, const std::string& path, const std::string& body,
                    const std::string& content_type, const std::string& more_headers) {
  std::string out = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n";
  if (!content_type.empty()) out += "Content-Type: " + content_type + "\r\n";
  if (!body.empty()) out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return out + more_headers + "\r\n" + body;
}

std::string edit(const std::string& prompt, const std::vector<Part>& more, const std::string& more_headers) {
  std::vector<Part> parts{{"image", "PICTURE", "a.png"}, {"prompt", prompt, ""}};
  parts.insert(parts.end(), more.begin(), more.end());
  return request("POST", "/v1/images/edits", multipart(parts),
                 std::string("multipart/form-data; boundary=") + kBoundary, more_headers);
}

ServiceProcess::ServiceProcess(const Folder& model, std::vector<std::string> options,
                               std::vector<std::string> environment) {
  std::vector<std::string> argv{HOLDALL_EDIT,        "serve",  "--model", model.path().string(), "--worker",
                                HOLDALL_FAKE_WORKER, "--port", "0"};
  argv.insert(argv.end(), options.begin(), options.end());
  start(std::move(argv), std::move(environment), {});
}

ServiceProcess::ServiceProcess(std::vector<std::string> argv, std::vector<std::string> environment,
                               std::map<int, int> descriptors) {
  start(std::move(argv), std::move(environment), descriptors);
}

void ServiceProcess::start(std::vector<std::string> argv, std::vector<std::string> environment,
                           const std::map<int, int>& descriptors) {
  int err[2];
  ASSERT_EQ(::pipe2(err, O_CLOEXEC), 0);
  std::vector<char*> args, env;
  for (auto& a : argv) args.push_back(a.data());
  args.push_back(nullptr);
  std::string listen_pid = "LISTEN_PID=" + std::string(20, '\0');
  for (auto& e : environment) env.push_back(e.data());
  if (!descriptors.empty()) env.push_back(listen_pid.data());
  env.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    std::map<int, int> copies;  // out of the way first: a source may have the number of another's target
    for (const auto& [target, source] : descriptors) copies[target] = ::fcntl(source, F_DUPFD, 64);
    for (const auto& [target, copy] : copies) ::dup2(copy, target), ::close(copy);
    std::snprintf(listen_pid.data() + 11, 20, "%d", ::getpid());
    ::dup2(err[1], STDERR_FILENO);
    ::execve(args[0], args.data(), env.data());
    ::_exit(127);
  }
  ::close(err[1]);
  reader_ = std::thread([this, fd = err[0]] {
    std::array<char, 4096> chunk;
    for (ssize_t n; (n = ::read(fd, chunk.data(), chunk.size())) > 0;) {
      const std::lock_guard lock(mutex_);
      log_.append(chunk.data(), static_cast<std::size_t>(n));
    }
    ::close(fd);
  });
}

ServiceProcess::~ServiceProcess() {
  if (running()) {
    signal(SIGKILL);
    wait_exit();
  }
  if (reader_.joinable()) reader_.join();
  if (::testing::Test::HasFailure()) std::fprintf(stderr, "--- the service's stderr\n%s---\n", log_.c_str());
}

json ServiceProcess::listening() {
  EXPECT_TRUE(eventually([this] { return log().find('\n') != std::string::npos || !running(); }));
  const std::string text = log();
  return json::parse(text.substr(0, text.find('\n')));
}

int ServiceProcess::port() {
  return port_of(listening().at("url"));
}
int ServiceProcess::health_port() {
  return port_of(listening().at("health_url"));
}

void ServiceProcess::wait_ready() {
  ASSERT_TRUE(eventually([this] { return probe("/readyz").status == 200; })) << "not ready";
}

Reply ServiceProcess::ask(const std::string& bytes) {
  Client client(port());
  client.send(bytes);
  return client.read_reply().value_or(Reply{});
}

Reply ServiceProcess::probe(const std::string& path) {
  Client client(health_port());
  client.send(request("GET", path));
  return client.read_reply().value_or(Reply{});
}

double ServiceProcess::metric(const std::string& line_start) {
  std::istringstream lines(probe("/metrics").body);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(line_start)) return std::stod(line.substr(line.rfind(' ')));
  return std::nan("");
}

void ServiceProcess::signal(int number) const {
  ::kill(pid_, number);
}

bool ServiceProcess::running() {
  int status = 0;
  if (status_ || pid_ < 0) return false;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  status_ = WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
  return false;
}

int ServiceProcess::wait_exit() {
  if (!eventually([this] { return !running(); })) return -1;
  if (reader_.joinable()) reader_.join();  // its log is complete now
  return *status_;
}

std::string ServiceProcess::log() {
  const std::lock_guard lock(mutex_);
  return log_;
}

}  // namespace holdall::runtime::service::testing
