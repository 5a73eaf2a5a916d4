// `holdall-edit-worker serve`: the loop that loads a model once and edits what the service sends (ipc/channel.h).
#pragma once

#include <filesystem>
#include <string>

namespace holdall::runtime::worker {

struct ServeOptions {
  int fd;  // the worker's end of the socket pair
  std::filesystem::path model;
  std::string device, dtype;  // as the command line gives them; empty: the default
  std::string golden;         // JSON that replaces the model's own golden edits; empty: nothing does
};

// Returns the exit code: 0 after "stop" or when the service is gone, the error's code when the model cannot be loaded
// or fails its warm-up or golden edit (the "fatal" frame says why). Throws nothing.
int serve_loop(const ServeOptions& options);

}  // namespace holdall::runtime::worker
