#include "launcher/supervisor_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "bundle/error.h"
#include "launcher/control_socket.h"

namespace holdall::launcher {
namespace {

// The lines of the file: the supervisor's pid and, once there is one, the service's.
std::string line_of(int fd, int number) {
  std::array<char, 64> buffer{};
  const ssize_t size = ::pread(fd, buffer.data(), buffer.size(), 0);
  std::string text(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  for (; number > 0 && text.find('\n') != std::string::npos; --number) text.erase(0, text.find('\n') + 1);
  text.erase(std::min(text.find('\n'), text.size()));
  return text.empty() ? "unknown" : text;
}

}  // namespace

SupervisorLock::SupervisorLock(const Store& store, std::chrono::milliseconds patience,
                               const std::function<void()>& interrupted)
    : file_(::openat(store.directory_fd(), "supervisor", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {
  if (!file_) throw bundle::system_error(errno, "open", store.path() + "/supervisor");
  const auto end = std::chrono::steady_clock::now() + patience;
  while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw bundle::system_error(errno, "lock", store.path() + "/supervisor");
    if (connect_control(store.directory_fd()))
      throw bundle::Error(bundle::ErrorKind::kBusy, "'" + store.path() + "' is already supervised (pid " +
                                                        line_of(file_.get(), 0) + "): use it, or stop it first");
    if (std::chrono::steady_clock::now() >= end)
      throw bundle::Error(bundle::ErrorKind::kBusy, "a service of '" + store.path() +
                                                        "' that lost its supervisor still runs (pid " +
                                                        line_of(file_.get(), 1) + "): wait for it, or end it");
    interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  write(std::to_string(::getpid()) + "\n");
}

// Told explicitly: a copy may still be open in a process that is being killed.
SupervisorLock::~SupervisorLock() {
  ::flock(file_.get(), LOCK_UN);
}

void SupervisorLock::note_service(pid_t service) const {
  write(std::to_string(::getpid()) + "\n" + std::to_string(service) + "\n");
}

void SupervisorLock::write(const std::string& text) const {
  if (::ftruncate(file_.get(), 0) != 0 || ::pwrite(file_.get(), text.data(), text.size(), 0) < 0) return;
}

}  // namespace holdall::launcher
