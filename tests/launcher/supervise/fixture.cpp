#include "fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "bundle/error.h"
#include "launcher/install_record.h"

namespace holdall::launcher::testing {
namespace {

namespace fs = std::filesystem;

fs::path make_folder() {
  std::string name = (fs::temp_directory_path() / "holdall-supervise-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a folder for the test");
  return name;
}

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

Store make_store(const fs::path& root) {
  Store::OpenOptions options;
  options.create = true;
  return Store::open(root.string(), "demo", options);
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

bool is_alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return false;
  return text.compare(text.rfind(')') + 2, 1, "Z") != 0;
}

std::optional<std::string> get(const std::string& url, const std::string& path) {
  const std::size_t colon = url.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(url.substr(colon + 1))));
  ::inet_pton(AF_INET, url.substr(7, colon - 7).c_str(), &address.sin_addr);
  const bundle::FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{10, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return std::nullopt;
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return std::nullopt;
  std::string answer;
  char buffer[4096];
  ssize_t size = 0;
  while ((size = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0)
    answer.append(buffer, static_cast<std::size_t>(size));
  const std::size_t body = answer.find("\r\n\r\n");
  if (size < 0 || body == std::string::npos || body + 4 == answer.size()) return std::nullopt;
  return answer.substr(body + 4);
}

std::string status_field(const Store& store, const std::string& field) {
  return nlohmann::json::parse(status_json(store)).at(field).dump();
}

pid_t status_pid(const Store& store, const std::string& field) {
  const auto value = nlohmann::json::parse(status_json(store)).at(field);
  return value.is_null() ? 0 : value.get<pid_t>();
}

SuperviseTest::SuperviseTest() : root_(make_folder()), store_(make_store(root_)) {
  { const StoreLock layout = store_.lock(std::chrono::seconds(1)); }
  service_.port = 0;
  options_.environment = {{"PATH", "/usr/bin:/bin"}};
  options_.first_back_off = std::chrono::milliseconds(20);
  options_.longest_back_off = std::chrono::milliseconds(200);
  options_.ready_timeout = std::chrono::seconds(5);
  options_.drain_timeout = std::chrono::seconds(5);
  options_.lock_timeout = std::chrono::seconds(2);
}

SuperviseTest::~SuperviseTest() {
  for (const pid_t pid : supervisors_) {
    ::kill(pid, SIGTERM);
    ::kill(pid, SIGINT);  // the second one aborts
    int status = 0;
    ::waitpid(pid, &status, 0);
  }
  std::error_code ignored;
  if (HasFailure())
    std::fprintf(stderr, "left for inspection: %s\n%s", root_.c_str(), log().c_str());
  else
    fs::remove_all(root_, ignored);
}

std::string SuperviseTest::add_release(const Release& release) {
  const std::string id = "demo-" + release.version + "-0123456789ab";
  const fs::path folder = fs::path(store_.path()) / "releases" / id;
  fs::create_directories(folder / "tree/bin");
  fs::create_directories(folder / "tree/holdall");
  fs::create_symlink(HOLDALL_TEST_SERVICE, folder / "tree/bin/test_service");
  bundle::BundleInfo info;
  info.name = "demo";
  info.version = release.version;
  info.requires_host.arch = "x86_64";
  info.service.emplace();
  info.service->exec = {"bin/" + release.service, "version=" + release.version, "state={state}"};
  info.service->exec.insert(info.service->exec.end(), release.settings.begin(), release.settings.end());
  info.service->environment = {{"FROM_BUNDLE", release.version}};
  info.service->swap = release.swap;
  write_file(folder / "tree/holdall/bundle.json", bundle::to_json(info));
  write_file(folder / kInstallRecordName, to_json(InstallRecord{}));
  write_file(folder / ".lease", "");
  return id;
}

Generation SuperviseTest::activate(const std::string& release) {
  const StoreLock lock = store_.lock(std::chrono::seconds(1));
  return store_.activate(lock, release);
}

Generation SuperviseTest::activate_good(const std::string& release) {
  const StoreLock lock = store_.lock(std::chrono::seconds(1));
  const Generation generation = store_.activate(lock, release);
  store_.mark_good(lock, generation.number);
  return generation;
}

pid_t SuperviseTest::start_supervisor() {
  const pid_t child = ::fork();
  if (child != 0) {
    supervisors_.push_back(child);
    return child;
  }
  try {
    ::_exit(supervise(store_, service_, options_));
  } catch (const bundle::Error& error) {
    std::ofstream(root_ / "supervisors.log", std::ios::app) << error.what() << std::endl;
    ::_exit(bundle::exit_code(error.kind()));
  } catch (const std::exception& error) {
    std::ofstream(root_ / "supervisors.log", std::ios::app) << "not an Error: " << error.what() << std::endl;
    ::_exit(1);
  }
}

std::string SuperviseTest::start_and_wait() {
  start_supervisor();
  EXPECT_TRUE(eventually([&] { return status_field(store_, "ready") == "true"; })) << status_json(store_) << log();
  return url();
}

int SuperviseTest::exit_code_of(pid_t supervisor) {
  int status = -1;
  const bool ended = eventually([&] { return ::waitpid(supervisor, &status, WNOHANG) == supervisor; });
  if (!ended) return -1;
  std::erase(supervisors_, supervisor);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

std::string SuperviseTest::url() {
  const auto value = nlohmann::json::parse(status_json(store_)).at("url");
  return value.is_string() ? value.get<std::string>() : "";
}

std::string SuperviseTest::version_served() {
  const std::string answer = get(url(), "/").value_or("nothing");
  return answer.substr(0, answer.find(' '));
}

std::string SuperviseTest::log() const {
  std::ifstream file(root_ / "supervisors.log");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace holdall::launcher::testing
