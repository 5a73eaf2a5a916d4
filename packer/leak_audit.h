// The leak audit: no path of the build machine, home folder or host name may reach an archive unseen, in whatever
// encoding it is written. It runs in the
// pass that reads the bytes for the writer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "packer/path_search.h"

namespace holdall::packer {

struct Leak {
  std::uint64_t offset = 0;
  std::string text;  // what was found
  std::string what;  // "source folder", "home folder", "host name", "build prefix"
};

using LeakKind = Sought;

struct LeakSource {
  std::string text;
  std::string what;
  LeakKind kind = LeakKind::kPath;
};

// What there is to look for, ready to search. Paths lose a trailing slash. Left out: what is too short or belongs to
// every machine ("/", "/root", the system's folders), a path inside another one of the list, "localhost".
// `intended`, if it is not empty, is a path that stands in the files on purpose: what it begins with is no leak there.
class LeakPatterns {
 public:
  explicit LeakPatterns(std::vector<LeakSource> sources, const std::string& intended = {});
  const std::vector<LeakSource>& sources() const { return sources_; }
  bool is_intended(std::size_t text) const { return text == sources_.size(); }  // of SearchHit
  const PathSearch& search() const { return search_; }

 private:
  std::vector<LeakSource> sources_;
  PathSearch search_;
};

// Scans one file as a stream: a hit is found wherever the borders between updates fall.
class LeakScanner {
 public:
  explicit LeakScanner(const LeakPatterns& patterns);
  void update(std::string_view data);
  void finish();
  const std::vector<Leak>& leaks() const { return leaks_; }  // the first 20
  std::uint64_t count() const { return count_; }             // all

 private:
  void scan(std::string_view text, std::uint64_t limit);

  const LeakPatterns& patterns_;
  std::size_t lookahead_ = 0;
  std::string seam_;        // the end of what came, as far back as a hit's surroundings reach
  std::uint64_t end_ = 0;   // offset in the file behind what came
  std::uint64_t next_ = 0;  // where a hit may begin
  std::vector<Leak> leaks_;
  std::uint64_t count_ = 0;
};

}  // namespace holdall::packer
