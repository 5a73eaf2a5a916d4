// holdall logs [-f] [-n N]: what a service in the background has written.
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
#include "launcher/log_files.h"
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

std::string_view read_at(const bundle::FileDescriptor& file, Block& block, off_t offset, std::size_t size) {
  ssize_t got = 0;
  while ((got = ::pread(file.get(), block.data(), std::min(size, block.size()), offset)) < 0 && errno == EINTR) {
  }
  if (got < 0) throw bundle::system_error(errno, "read", "service.log");
  return {block.data(), static_cast<std::size_t>(got)};
}

// Where the last `lines` lines of one file begin, found from the end; what it has of them is taken off `lines`.
off_t start_of_last(const bundle::FileDescriptor& file, unsigned& lines) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw bundle::system_error(errno, "read", "service.log");
  const off_t size = status.st_size;
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
  if (size > 0) --lines;
  return 0;
}

// Prints from `offset` to the end; the offset then.
off_t print_rest(const bundle::FileDescriptor& file, off_t offset) {
  Block block;
  while (std::cout) {
    const std::string_view text = read_at(file, block, offset, block.size());
    if (text.empty()) break;
    std::cout << text;
    offset += static_cast<off_t>(text.size());
  }
  return offset;
}

// The file that was begun after that of `inode`; that file itself if it is still the newest. One that is gone: the
// oldest there is.
LogPart next_of(const Store& store, ino_t inode) {
  std::vector<LogPart> parts = open_log(store.directory_fd());
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (parts[i].inode == inode) return std::move(parts[i > 0 ? i - 1 : 0]);
  return parts.empty() ? LogPart{} : std::move(parts.back());
}

void follow(const Store& store, LogPart part, off_t offset) {
  while (std::cout) {
    offset = print_rest(part.file, offset);
    LogPart next = next_of(store, part.inode);
    if (!next.file || next.inode == part.inode) {
      std::cout.flush();
      std::this_thread::sleep_for(kFollowPeriod);
      continue;
    }
    print_rest(part.file, offset);  // what came between the two looks; after its renaming nothing does
    part = std::move(next);
    offset = 0;
  }
}

void show(const LogsOptions& options) {
  const Store store = open_installed(options.common);
  std::vector<LogPart> parts = open_log(store.directory_fd());
  if (parts.empty())
    throw bundle::Error(
        bundle::ErrorKind::kNotFound,
        "'" + service_name(store) + "' has no log: only a service that was started with --detach has one");
  unsigned wanted = options.lines;
  std::size_t at = 0;
  off_t offset = start_of_last(parts[0].file, wanted);
  while (wanted > 0 && at + 1 < parts.size()) offset = start_of_last(parts[++at].file, wanted);
  for (;; --at, offset = 0) {
    offset = print_rest(parts[at].file, offset);
    if (at == 0) break;
  }
  if (options.follow) follow(store, std::move(parts[0]), offset);
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
