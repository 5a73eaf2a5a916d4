// Runs holdall-edit with the fake worker and talks to it over real sockets.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace holdall::runtime::service::testing {

// Polls until `condition` holds; false after ten seconds.
bool eventually(const std::function<bool()>& condition);

class Folder {
 public:
  Folder();
  ~Folder();
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& text = "") const;
  std::string read(const std::string& name) const;

 private:
  std::filesystem::path path_;
};

struct Reply {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
  nlohmann::json json() const { return nlohmann::json::parse(body); }
  nlohmann::json error() const { return json().at("error"); }
};

// One connection. A reply that does not come within ten seconds, or is cut, is a nullopt.
class Client {
 public:
  explicit Client(int port, int receive_buffer = 0);  // bytes that the kernel takes ahead; 0: as it likes
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(const std::string& bytes);  // false: the server closed
  std::optional<Reply> read_reply(bool head_only = false);
  bool read_until(const std::string& mark);  // of what comes raw; false: it does not
  bool read_line(std::string& line);         // the rest of this line; false: it does not end
  std::size_t skip(std::size_t most);        // how many bytes of what comes next; 0: nothing more does
  bool closed_by_server();                   // waits for it
  void close();

 private:
  bool fill();
  std::optional<std::string> read_chunks();
  int fd_;
  std::string buffer_;
};

std::string from_base64(const std::string& text);

struct Part {
  std::string name, data, filename;  // a filename makes it a file
};

inline constexpr const char* kBoundary = "----holdall7f3a";
std::string multipart(const std::vector<Part>& parts);
std::string request(const std::string& method, const std::string& path, const std::string& body = "",
                    const std::string& content_type = "", const std::string& more_headers = "");
// POST /v1/images/edits with one picture "PICTURE" and this prompt.
std::string edit(const std::string& prompt, const std::vector<Part>& more = {}, const std::string& more_headers = "");

// The service, killed at the end of the test if it still runs.
class ServiceProcess {
 public:
  // `options` come after `serve --model MODEL --worker FAKE --port 0`.
  explicit ServiceProcess(const Folder& model, std::vector<std::string> options = {},
                          std::vector<std::string> environment = {});
  ServiceProcess(std::vector<std::string> argv, std::vector<std::string> environment, std::map<int, int> descriptors);
  ~ServiceProcess();

  int port();  // of the API; waits for the "listening" line
  int health_port();
  void wait_ready();
  Reply ask(const std::string& bytes);           // on a connection of its own
  Reply probe(const std::string& path);          // on the health listener
  double metric(const std::string& line_start);  // the value of the first line that starts so; NaN: none

  void signal(int number) const;
  int wait_exit();  // exit status, or 256 + signal; -1 after ten seconds
  bool running();
  std::string log();
  pid_t pid() const { return pid_; }

 private:
  void start(std::vector<std::string> argv, std::vector<std::string> environment,
             const std::map<int, int>& descriptors);
  nlohmann::json listening();

  pid_t pid_ = -1;
  std::optional<int> status_;
  std::thread reader_;
  std::mutex mutex_;
  std::string log_;
};

}  // namespace holdall::runtime::service::testing
