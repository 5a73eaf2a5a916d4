// The processes that share a state folder, as two releases do while they are swapped. One is alive for as long as it
// holds the lock on its file, which the kernel drops however the process ends.
#pragma once

#include <filesystem>
#include <string>

namespace holdall::runtime::service {

class Instance {
 public:
  // Takes part under a new name in `folder`, which is made if it is missing; what dead ones left there is removed.
  // Throws runtime::Error{kStorage}.
  explicit Instance(std::filesystem::path folder);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const std::string& name() const noexcept { return name_; }
  // Whether the instance of this name, ours or another, still runs. Where that cannot be told, it does.
  bool alive(const std::string& name) const;

 private:
  bool claim();

  const std::filesystem::path folder_;
  std::string name_;
  int fd_ = -1;
};

}  // namespace holdall::runtime::service
