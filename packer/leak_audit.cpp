#include "packer/leak_audit.h"

#include <algorithm>
#include <array>

namespace holdall::packer {
namespace {

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

std::vector<LeakSource> worth_searching(std::vector<LeakSource> sources, const std::string& intended) {
  for (LeakSource& source : sources) {
    while (source.kind == LeakKind::kPath && source.text.size() > 1 && source.text.back() == '/')
      source.text.pop_back();
  }
  std::erase_if(sources, [&](const LeakSource& source) { return is_everywhere(source) || source.text == intended; });
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

// Of several texts at one place the longest is found: `intended`, last in the list, before a folder that it lies in.
std::vector<SoughtText> texts(const std::vector<LeakSource>& sources, const std::string& intended) {
  std::vector<SoughtText> result;
  for (const LeakSource& source : sources) result.push_back({source.text, source.kind});
  if (intended.size() > 1) result.push_back({intended, LeakKind::kPath});
  return result;
}

}  // namespace

LeakPatterns::LeakPatterns(std::vector<LeakSource> sources, const std::string& intended)
    : sources_(worth_searching(std::move(sources), intended)), search_(texts(sources_, intended)) {}

LeakScanner::LeakScanner(const LeakPatterns& patterns)
    : patterns_(patterns), lookahead_(patterns.search().lookahead()) {}

// Only what lies near a border between updates is copied: `seam_` holds the end of what came before, and the start of
// `data` joins it. The rest of `data` is searched where it is.
void LeakScanner::update(std::string_view data) {
  if (lookahead_ == 0) return;
  const std::size_t context = PathSearch::kLookBehind + lookahead_;
  const std::string_view joined = data.substr(0, context);
  seam_.append(joined);
  end_ += joined.size();
  if (seam_.size() >= lookahead_) scan(seam_, end_ - lookahead_ + 1);
  if (joined.size() < data.size()) {
    end_ += data.size() - joined.size();
    scan(data, end_ - lookahead_ + 1);
    seam_.assign(data.substr(data.size() - context));
  } else if (seam_.size() > 2 * context) {
    seam_.erase(0, seam_.size() - context);
  }
}

void LeakScanner::finish() {
  scan(seam_, end_);
  seam_.clear();
}

// `text` ends at end_. Hits that begin at next_ or later and before `limit`: what follows them is in `text`, or the
// file ends; so is what precedes them, as far as it matters.
void LeakScanner::scan(std::string_view text, std::uint64_t limit) {
  const std::uint64_t start = end_ - text.size();
  while (next_ < limit) {
    const SearchHit hit = patterns_.search().next(text, static_cast<std::size_t>(next_ - start));
    if (hit.position == std::string_view::npos || start + hit.position >= limit) break;
    if (patterns_.is_intended(hit.text)) {
      next_ = start + hit.position + hit.size;
      continue;
    }
    const LeakSource& source = patterns_.sources()[hit.text];
    ++count_;
    if (leaks_.size() < kMaxReported) leaks_.push_back({start + hit.position, source.text, source.what});
    next_ = start + hit.position + 1;
  }
  next_ = std::max(next_, limit);
}

}  // namespace holdall::packer
