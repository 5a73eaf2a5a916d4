// Pictures that clients fetch later: response_format=url. Who has the address may fetch it until it expires.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>

#include "runtime/service/http/http.h"
#include "runtime/service/store/database.h"

namespace holdall::runtime::service {

class ContentStore {
 public:
  using WallClock = std::chrono::system_clock;

  // In `database`, which outlives this and also holds the key that signs: addresses are good in the service that
  // follows a swap. Throws runtime::Error{kStorage}, as put() does.
  explicit ContentStore(Database& database);

  // Keeps a picture for `ttl` and returns its path with its signature. What has expired is forgotten.
  std::string put(std::span<const std::byte> picture, const std::string& content_type, std::chrono::seconds ttl,
                  WallClock::time_point now = WallClock::now());

  // `query`: of the address. Throws HttpError 403 for a wrong signature, 410 for what has expired.
  HttpReply get(const std::string& id, const std::string& query, WallClock::time_point now = WallClock::now());

 private:
  std::string signature_of(const std::string& id, std::int64_t expires) const;

  Database& database_;
  std::string key_;
};

}  // namespace holdall::runtime::service
