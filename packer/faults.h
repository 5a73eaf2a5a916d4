// Faults of the inputs, gathered so that one run names them all.
#pragma once

#include <string>
#include <vector>

#include "bundle/error.h"

namespace holdall::packer {

class Faults {
 public:
  void add(std::string line) { lines_.push_back(std::move(line)); }
  bool empty() const { return lines_.empty(); }

  // Throws Error{kind} with one fault a line (the first hundred, and how many more there are) if there is any; below
  // `headline`, if that is not empty.
  void report(bundle::ErrorKind kind = bundle::ErrorKind::kCannotPack, const std::string& headline = "") const;

 private:
  std::vector<std::string> lines_;
};

// The first three and "+ N others" where there are more than four: how long lists stand in a message.
std::vector<std::string> shortened(std::vector<std::string> items);

}  // namespace holdall::packer
