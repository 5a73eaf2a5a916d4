#include "packer/leak_audit.h"

#include <algorithm>
#include <array>

#include "packer/path_boundary.h"

namespace holdall::packer {
namespace {

constexpr std::size_t kLookBehind = 4096;  // PATH_MAX: how far the left boundary can lie
constexpr std::size_t kMaxReported = 20;

bool is_everywhere(const LeakSource& source) {
  if (source.kind == LeakKind::kWord) {
    return source.text.size() < 6 || source.text == "localhost" || source.text.starts_with("localhost.");
  }
  static constexpr std::array<std::string_view, 12> kSystem{"/usr", "/lib", "/lib64", "/bin",  "/sbin", "/etc",
                                                            "/opt", "/var", "/tmp",   "/home", "/root", "/proc"};
  const std::string& path = source.text;
  return path.size() < 3 || path.front() != '/' || std::ranges::find(kSystem, path) != kSystem.end() ||
         path == "/var/tmp" || path.starts_with("/usr/") || path.starts_with("/lib/") || path.starts_with("/lib64/") ||
         (source.what == "home folder" && path.size() < 6);
}

std::vector<LeakSource> worth_searching(std::vector<LeakSource> sources) {
  for (LeakSource& source : sources) {
    while (source.kind == LeakKind::kPath && source.text.size() > 1 && source.text.back() == '/')
      source.text.pop_back();
  }
  std::erase_if(sources, is_everywhere);
  std::ranges::stable_sort(sources, {}, [](const LeakSource& source) { return source.text.size(); });
  std::vector<LeakSource> result;  // "/src/app" is found wherever "/src" is looked for
  for (LeakSource& source : sources) {
    const bool covered = std::ranges::any_of(result, [&](const LeakSource& other) {
      return source.kind == other.kind && (source.text == other.text || (source.kind == LeakKind::kPath &&
                                                                         source.text.starts_with(other.text + "/")));
    });
    if (!covered) result.push_back(std::move(source));
  }
  return result;
}

std::vector<std::string> texts(const std::vector<LeakSource>& sources) {
  std::vector<std::string> result;
  for (const LeakSource& source : sources) result.push_back(source.text);
  return result;
}

}  // namespace

LeakPatterns::LeakPatterns(std::vector<LeakSource> sources)
    : sources_(worth_searching(std::move(sources))), search_(texts(sources_)) {}

LeakScanner::LeakScanner(const LeakPatterns& patterns) : patterns_(patterns) {
  for (const LeakSource& source : patterns.sources()) lookahead_ = std::max(lookahead_, source.text.size() + 2);
}

void LeakScanner::update(std::string_view data) {
  if (lookahead_ == 0) return;
  window_.append(data);
  if (window_.size() < lookahead_) return;
  scan(window_.size() - lookahead_ + 1);
  if (next_ > kLookBehind) {
    const std::size_t spent = next_ - kLookBehind;
    window_.erase(0, spent);
    window_offset_ += spent;
    next_ -= spent;
  }
}

void LeakScanner::finish() {
  scan(window_.size());
  window_.clear();
  next_ = 0;
}

// Hits that begin before `limit`: what follows them is in the window, or the file ends.
void LeakScanner::scan(std::size_t limit) {
  const auto is_leak = [&](NeedleHit hit) {
    const LeakSource& source = patterns_.sources()[hit.needle];
    return source.kind == LeakKind::kPath ? is_path_at(window_, hit.position, source.text.size())
                                          : is_word_at(window_, hit.position, source.text.size());
  };
  while (next_ < limit) {
    const NeedleHit hit = patterns_.search().next(window_, next_, is_leak);
    if (hit.position >= limit) break;  // npos too
    const LeakSource& source = patterns_.sources()[hit.needle];
    ++count_;
    if (leaks_.size() < kMaxReported) leaks_.push_back({window_offset_ + hit.position, source.text, source.what});
    next_ = hit.position + 1;
  }
  next_ = std::max(next_, limit);
}

}  // namespace holdall::packer
