// Who asked for what, and what came of it: JSON lines, each with the digest of the one before it, so that a line that
// is changed, left out or put elsewhere shows. What is cut off at the end does not, unless a later hash was kept
// elsewhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace holdall::runtime::service {

class AuditLog {
 public:
  // Makes the file (0600) if it is missing. Several processes may write to it, as while a release is swapped. Throws
  // runtime::Error{kStorage}.
  explicit AuditLog(const std::filesystem::path& file);
  ~AuditLog();  // waits until everything is written, or a last attempt has failed

  // Adds "time", "prev" and "hash". Returns at once; a thread writes and syncs. What cannot be written is tried again
  // each second, and said in the log; at most kMaxWaiting lines wait, then the oldest are given up.
  void append(nlohmann::json line);
  static constexpr std::size_t kMaxWaiting = 100'000;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct AuditVerdict {
  std::uint64_t lines = 0;  // that are good, from the beginning
  std::string head;         // the hash of the last of them
  std::string fault;        // what is wrong with the line after them; empty: nothing
};

// Throws runtime::Error{kNotFound, kStorage}.
AuditVerdict verify_audit_log(const std::filesystem::path& file);

}  // namespace holdall::runtime::service
