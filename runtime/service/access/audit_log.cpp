#include "runtime/service/access/audit_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/error.h"
#include "runtime/files/files.h"
#include "runtime/service/digest.h"
#include "runtime/service/log.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::json;

const std::string kFirst(64, '0');  // the "prev" of the first line
constexpr std::chrono::seconds kRetry{1};

// Keys sorted, no spaces: what is hashed, and what is written.
std::string canonical(const json& line) {
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

// `line` as it is written after the line whose hash is `prev`, which becomes its own.
std::string chained(json line, std::string& prev) {
  line["prev"] = prev;
  line["hash"] = prev = sha256_hex(prev + canonical(line));
  return canonical(line) + "\n";
}

class Lock {
 public:
  explicit Lock(int fd) : fd_(fd) {
    while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { ::flock(fd_, LOCK_UN); }

 private:
  const int fd_;
};

// The last whole line, found from the end; `end`: where it ends. What follows it was cut off by a crash.
std::string last_line(int fd, off_t size, off_t& end) {
  std::string tail;
  std::array<char, 4096> block;
  for (off_t at = size; at > 0;) {
    const off_t from = std::max<off_t>(0, at - static_cast<off_t>(block.size()));
    const ssize_t count = ::pread(fd, block.data(), static_cast<std::size_t>(at - from), from);
    if (count != at - from) break;
    tail.insert(0, block.data(), static_cast<std::size_t>(count));
    at = from;
    const auto last = tail.rfind('\n');
    const auto before = last == std::string::npos || last == 0 ? std::string::npos : tail.rfind('\n', last - 1);
    if (last == std::string::npos || (before == std::string::npos && at > 0)) continue;
    end = at + static_cast<off_t>(last) + 1;
    const auto begin = before == std::string::npos ? 0 : before + 1;
    return tail.substr(begin, last - begin);
  }
  end = 0;
  return "";
}

}  // namespace

class AuditLog::Impl {
 public:
  explicit Impl(const std::filesystem::path& file)
      : file_(file), fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    if (fd_ < 0) files::failed("open", file_, errno);
    thread_ = std::thread([this] { write_all(); });
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
    ::close(fd_);
  }

  void append(json line) {
    line["time"] = now_utc();
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(line));
      if (waiting_.size() > kMaxWaiting) waiting_.pop_front();
    }
    changed_.notify_one();
  }

 private:
  void write_all() {
    for (;;) {
      std::deque<json> batch;
      bool last = false;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        batch.swap(waiting_);
        last = stopping_;
      }
      if (write(batch)) continue;
      log_warning("audit_failed", {{"file", file_.string()}, {"lines", batch.size()}, {"message", failure_}});
      if (last) return;
      std::unique_lock lock(mutex_);
      waiting_.insert(waiting_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
      changed_.wait_for(lock, kRetry, [this] { return stopping_; });
    }
  }

  // All of them on the disk, or none in the file.
  bool write(const std::deque<json>& batch) {
    const Lock lock(fd_);
    struct stat status {};
    if (::fstat(fd_, &status) != 0) {
      failure_ = std::system_category().message(errno);
      return false;
    }
    off_t end = 0;
    const std::string before = last_line(fd_, status.st_size, end);
    std::string prev = kFirst, text;
    if (!before.empty()) {
      const json line = json::parse(before, nullptr, false);
      prev = line.is_object() && line.contains("hash") && line["hash"].is_string() ? line["hash"].get<std::string>()
                                                                                   : sha256_hex(before);
    }
    for (const json& line : batch) text += chained(line, prev);
    if (::ftruncate(fd_, end) == 0 && put(text) && ::fdatasync(fd_) == 0) return true;
    failure_ = std::system_category().message(errno);
    [[maybe_unused]] const int taken_back = ::ftruncate(fd_, end);
    return false;
  }

  bool put(const std::string& text) const {
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t count = ::write(fd_, text.data() + done, text.size() - done);
      if (count < 0 && errno != EINTR) return false;
      done += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    }
    return true;
  }

  const std::filesystem::path file_;
  const int fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<json> waiting_;
  bool stopping_ = false;
  std::string failure_;  // of the writing thread
  std::thread thread_;
};

AuditLog::AuditLog(const std::filesystem::path& file) : impl_(std::make_unique<Impl>(file)) {}
AuditLog::~AuditLog() = default;
void AuditLog::append(json line) {
  impl_->append(std::move(line));
}

AuditVerdict verify_audit_log(const std::filesystem::path& file) {
  const files::ReadOnly readable(file);  // throws what is wrong with it
  std::ifstream stream(file, std::ios::binary);
  AuditVerdict verdict;
  verdict.head = kFirst;
  for (std::string text; std::getline(stream, text);) {
    json line = json::parse(text, nullptr, false);
    if (!line.is_object() || !line.contains("hash") || stream.eof()) {
      verdict.fault = stream.eof() ? "is cut off" : "is no audit line";
      break;
    }
    const json hash = line["hash"];
    line.erase("hash");
    if (line.value("prev", json()) != verdict.head)
      verdict.fault = "does not follow the line before it: something was left out, changed or moved";
    else if (hash != sha256_hex(verdict.head + canonical(line)))
      verdict.fault = "was changed: its hash is another";
    if (!verdict.fault.empty()) break;
    verdict.head = hash;
    ++verdict.lines;
  }
  return verdict;
}

}  // namespace holdall::runtime::service
