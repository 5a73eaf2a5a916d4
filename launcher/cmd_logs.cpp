// holdall logs [-f] [-n N]: what a service in the background has written.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <iostream>
#include <memory>
#include <string_view>
#include <thread>

#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/options.h"
#include "launcher/status.h"

namespace holdall::launcher {
namespace {

constexpr std::chrono::milliseconds kFollowPeriod{200};

struct LogsOptions {
  CommonOptions common;
  bool follow = false;
  unsigned lines = 100;
};

using Block = std::array<char, 64 * 1024>;

std::string_view read_at(const FileDescriptor& file, Block& block, off_t offset, std::size_t size) {
  ssize_t got = 0;
  while ((got = ::pread(file.get(), block.data(), std::min(size, block.size()), offset)) < 0 && errno == EINTR) {
  }
  if (got < 0) throw bundle::system_error(errno, "read", "service.log");
  return {block.data(), static_cast<std::size_t>(got)};
}

// Where the last `lines` lines begin, found from the end.
off_t start_of_last(const FileDescriptor& file, off_t size, unsigned lines) {
  if (lines == 0) return size;
  Block block;
  for (off_t end = size; end > 0;) {
    const off_t begin = std::max<off_t>(0, end - static_cast<off_t>(block.size()));
    const std::string_view text = read_at(file, block, begin, static_cast<std::size_t>(end - begin));
    for (std::size_t i = text.size(); i-- > 0;) {
      const off_t at = begin + static_cast<off_t>(i);
      // The newline at the very end closes the last line, it does not begin another.
      if (text[i] == '\n' && at + 1 < size && --lines == 0) return at + 1;
    }
    end = begin;
  }
  return 0;
}

void show(const LogsOptions& options) {
  const Store store = open_installed(options.common);
  const FileDescriptor file(::openat(store.directory_fd(), "logs/service.log", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file && errno == ENOENT)
    throw bundle::Error(
        bundle::ErrorKind::kNotFound,
        "'" + service_name(store) + "' has no log: only a service that was started with --detach has one");
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0)
    throw bundle::system_error(errno, "read", store.path() + "/logs/service.log");

  Block block;
  off_t offset = start_of_last(file, status.st_size, options.lines);
  while (std::cout) {
    const std::string_view text = read_at(file, block, offset, block.size());
    std::cout << text;
    offset += static_cast<off_t>(text.size());
    if (!text.empty()) continue;
    if (!options.follow) break;
    std::cout.flush();
    std::this_thread::sleep_for(kFollowPeriod);
  }
}

}  // namespace

void add_logs(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<LogsOptions>();
  CLI::App* command = app.add_subcommand("logs", "what a service in the background has written");
  command->add_flag("-f,--follow", options->follow, "go on as more is written");
  command->add_option("-n,--lines", options->lines, "lines from the end [100]");
  add_common_options(*command, options->common);
  command->callback([options] { show(*options); });
}

}  // namespace holdall::launcher
