#include "launcher/running.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace holdall::launcher {
namespace {

std::string base_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::optional<std::string> read_all(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return file && !text.str().empty() ? std::optional(text.str()) : std::nullopt;
}

// Field 4 of /proc/PID/stat (proc(5)); the second one may hold spaces and parentheses.
pid_t parent_of(const std::string& stat) {
  const std::size_t end = stat.rfind(')');
  int parent = 0;
  if (end != stat.npos && end + 4 < stat.size())
    std::from_chars(stat.data() + end + 4, stat.data() + stat.size(), parent);
  return parent;
}

// The process and all below it.
std::vector<pid_t> family_of(pid_t first) {
  std::multimap<pid_t, pid_t> children;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size()) continue;
    if (const auto stat = read_all(entry.path() / "stat")) children.emplace(parent_of(*stat), pid);
  }
  std::vector<pid_t> family{first};
  for (std::size_t i = 0; i < family.size(); ++i) {
    const auto [begin, end] = children.equal_range(family[i]);
    for (auto child = begin; child != end; ++child) family.push_back(child->second);
  }
  return family;
}

bool starts_with_any(const std::string& name, std::initializer_list<std::string_view> starts) {
  return std::any_of(starts.begin(), starts.end(), [&](std::string_view start) { return name.starts_with(start); });
}

std::string joined(const std::map<std::string, std::string>& files) {
  std::string text;
  for (const auto& [path, by] : files) text += (text.empty() ? "" : ", ") + path + (by.empty() ? "" : " (" + by + ")");
  return text;
}

}  // namespace

std::vector<std::string> mapped_programs(std::string_view maps) {
  std::vector<std::string> files;
  for (std::size_t at = 0; at < maps.size();) {
    const std::size_t end = std::min(maps.find('\n', at), maps.size());
    const std::string_view line = maps.substr(at, end - at);
    at = end + 1;
    // address perms offset device inode path
    const std::size_t space = line.find(' '), path = line.find('/');
    if (space == line.npos || path == line.npos || space + 4 >= line.size() || line[space + 3] != 'x') continue;
    const std::string file(line.substr(path));
    if (file.ends_with(" (deleted)") || std::find(files.begin(), files.end(), file) != files.end()) continue;
    files.push_back(file);
  }
  return files;
}

bool is_of_driver(const std::string& path) {
  return starts_with_any(base_of(path),
                         {"libcuda.so", "libcudadebugger.so", "libnvidia-", "libnvcuvid.so", "libdxcore.so"}) ||
         path.starts_with("/usr/lib/wsl/");
}

bool is_of_glibc(const std::string& path) {
  return starts_with_any(
      base_of(path), {"ld-linux",   "ld-2.",           "libc.so.",      "libc-2.",        "libm.so.",      "libm-2.",
                      "libmvec",    "libdl.so.",       "libdl-2.",      "libpthread.so.", "libpthread-2.", "librt.so.",
                      "librt-2.",   "libutil.so.",     "libresolv.so.", "libresolv-2.",   "libnss_",       "libanl.so.",
                      "libnsl.so.", "libBrokenLocale", "libthread_db"});
}

std::vector<Check> check_running(pid_t service, const std::string& store, bundle::LibcChoice libc) {
  std::map<std::string, std::string> driver, glibc, foreign;  // path → the program that has it
  std::size_t closed = 0;
  const std::vector<pid_t> family = family_of(service);
  for (const pid_t pid : family) {
    const std::string folder = "/proc/" + std::to_string(pid);
    const auto maps = read_all(folder + "/maps");
    if (!maps) {
      ++closed;
      continue;
    }
    std::error_code none;
    const std::string program = std::filesystem::read_symlink(folder + "/exe", none);
    // A program of the host (a shell that the service starts) has the host's libraries.
    if (!program.starts_with(store + "/")) continue;
    for (const std::string& file : mapped_programs(*maps)) {
      if (file.starts_with(store + "/")) continue;
      auto& kind = is_of_driver(file) ? driver : is_of_glibc(file) ? glibc : foreign;
      kind.emplace(file, base_of(program));
    }
  }
  const bool own_libc = libc == bundle::LibcChoice::kBundled;
  if (own_libc) foreign.merge(glibc);

  std::vector<Check> checks;
  checks.push_back(
      {.id = "processes", .found = std::to_string(family.size()), .source = "pid " + std::to_string(service)});
  if (closed > 0) {
    checks.back().status = Status::kWarn;
    checks.back().found += ", of which " + std::to_string(closed) + " cannot be read";
    checks.back().fix = "ask as the user whose service it is";
  }
  checks.push_back({.id = "driver", .found = driver.empty() ? "none are loaded" : joined(driver)});
  if (!own_libc) checks.push_back({.id = "libc", .found = joined(glibc)});
  Check host{.id = "foreign", .found = "none"};
  if (!foreign.empty()) {
    host.status = Status::kWarn;
    host.found = joined(foreign);
    host.source = "/proc/" + std::to_string(service) + "/maps";
    host.need = own_libc ? "the release's own, and the driver's" : "the release's own, glibc's and the driver's";
    host.why = "another host may have others, or none";
    host.fix =
        "pack them (the manifest's library_paths and plugins); or leave out --keep-env, which lets foreign ones in";
  }
  checks.push_back(host);
  return checks;
}

}  // namespace holdall::launcher
