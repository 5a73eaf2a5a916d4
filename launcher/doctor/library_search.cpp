#include "launcher/doctor/library_search.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>

namespace holdall::launcher {
namespace {

// glibc, sysdeps/generic/dl-cache.h: 20 bytes of magic and version, u32 entries, u32 bytes of strings, 20 more bytes;
// then entries of 24 bytes: i32 flags, u32 key, u32 value, u32 os version, u64 hwcap. Offsets count from the header.
constexpr std::string_view kMagic = "glibc-ld.so.cache1.1";
constexpr std::size_t kHeader = 48, kEntry = 24;
constexpr std::size_t kMaxCache = 64u << 20;

std::uint32_t u32(std::string_view bytes, std::size_t at) {
  std::uint32_t value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::string_view string_at(std::string_view bytes, std::size_t at) {
  if (at >= bytes.size()) return {};
  const std::size_t end = bytes.find('\0', at);
  return end == std::string_view::npos ? std::string_view() : bytes.substr(at, end - at);
}

}  // namespace

std::vector<std::string> cached_libraries(std::string_view cache, std::string_view name) {
  std::vector<std::string> found;
  const std::size_t start = cache.find(kMagic);
  if (start == std::string_view::npos || cache.size() - start < kHeader) return found;
  cache.remove_prefix(start);
  const std::size_t entries = std::min<std::size_t>(u32(cache, 20), (cache.size() - kHeader) / kEntry);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = kHeader + i * kEntry;
    if (string_at(cache, u32(cache, at + 4)) != name) continue;
    const std::string_view path = string_at(cache, u32(cache, at + 8));
    if (!path.empty() && path.front() == '/') found.emplace_back(path);
  }
  return found;
}

std::vector<std::string> find_library(const Host& host, const std::string& name,
                                      const std::vector<std::string>& more_folders) {
  std::vector<std::string> candidates;
  if (const auto cache = host.read("/etc/ld.so.cache", kMaxCache)) candidates = cached_libraries(*cache, name);
  for (const char* folder :
       {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
        "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib64", "/usr/local/lib"})
    candidates.push_back(std::string(folder) + "/" + name);
  for (const std::string& folder : more_folders) candidates.push_back(folder + "/" + name);

  std::vector<std::string> found;
  std::set<std::string> seen;
  for (const std::string& candidate : candidates) {
    const auto real = host.real_path(candidate);
    if (real && seen.insert(*real).second) found.push_back(candidate);
  }
  return found;
}

}  // namespace holdall::launcher
