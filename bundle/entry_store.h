// The entries of a table of contents, in their order, in a sixth of the memory that they have as Entry: of a million
// files 80 MB. What is read again is read from the first to the last, as the TOC is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "bundle/toc.h"

namespace holdall::bundle {

using EntryVisitor = std::function<void(const Entry&)>;

class EntryStore {
 public:
  void add(Entry entry);
  std::uint64_t size() const { return size_; }
  void for_each(const EntryVisitor& visit) const;

  // Goes through them once; the store must outlive it and stay as it is.
  class Cursor {
   public:
    explicit Cursor(const EntryStore& store) : store_(store) {}
    const Entry* next();  // until the next call; nullptr: there is no further one

   private:
    const EntryStore& store_;
    std::size_t block_ = 0, at_ = 0, whole_ = 0;
    Entry entry_;
  };

 private:
  struct Record;

  std::vector<std::string> blocks_;  // of records, each with what its path has that the path before has not
  std::string last_path_;
  std::vector<std::string> layers_;
  std::deque<Entry> whole_;  // those with relocations, several chunks or other things that most files lack
  std::uint64_t size_ = 0;
};

}  // namespace holdall::bundle
