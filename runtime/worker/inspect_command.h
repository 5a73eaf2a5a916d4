// `inspect`: what a model is, what it needs, and whether this device can give that.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace holdall::runtime::worker {

struct InspectArguments {  // as typed
  std::filesystem::path model;
  std::vector<std::string> sizes;
  std::string device = "auto", dtype;
  bool json = false;
};

// Prints the facts, or with `json` one object. Throws runtime::Error.
void run_inspect(const InspectArguments& arguments);

}  // namespace holdall::runtime::worker
