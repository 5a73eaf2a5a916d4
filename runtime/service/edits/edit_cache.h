// Results of edits that are sure to come out the same, kept for a while: rows in SQLite, pictures in files. The process
// that follows a swap finds them, too.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "runtime/service/edits/edit_queue.h"
#include "runtime/service/store/database.h"

namespace holdall::runtime::service {

struct CacheLimits {
  std::chrono::seconds ttl{300};
  std::uint64_t max_bytes = 1ull << 30;  // of all pictures; those not asked for longest give way. 0: nothing is kept
};

class EditCache {
 public:
  // `database` outlives it. Throws runtime::Error{kStorage}.
  EditCache(const std::filesystem::path& state, Database& database);
  void set_limits(const CacheLimits& limits) { limits_ = limits; }

  // `key`: a digest of all that decides about the result. A disk that cannot be used is a cache without anything; the
  // log says so.
  std::optional<EditResult> get(const std::string& key, std::int64_t now);
  void put(const std::string& key, const EditResult& result, std::int64_t now);

 private:
  std::optional<EditResult> read(const std::string& key, std::int64_t now);
  void write(const std::string& key, const EditResult& result, std::int64_t now);
  void forget(const std::string& key);
  void make_room(std::int64_t now);

  const std::filesystem::path folder_;
  Database& database_;
  CacheLimits limits_;
};

}  // namespace holdall::runtime::service
