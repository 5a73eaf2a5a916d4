// Who calls, what they may do, and how much of it is left to them.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/service/access/keys.h"
#include "runtime/service/http/http.h"
#include "runtime/service/store/database.h"

namespace holdall::runtime::service {

class Metrics;

struct Caller {
  std::string name;  // the key's; empty where no keys are asked for
  Role role = Role::kAdmin;
};

// Throws HttpError 403.
void require_role(const Caller& caller, Role needed);

class Access {
 public:
  using WallClock = std::chrono::system_clock;

  // `keys`: the keys file; empty: whoever can connect is an admin, without limits. `database` keeps the days' counts
  // and outlives this, as `metrics` does. Throws runtime::Error as read_keys().
  Access(std::filesystem::path keys, Database& database, Metrics& metrics);

  // Reads the keys file again. Throws as read_keys(); then the keys are those of before.
  void reload();
  bool asks_for_keys() const noexcept { return !file_.empty(); }

  // By "Authorization: Bearer KEY" or "X-Api-Key: KEY". Throws HttpError 401.
  Caller identify(const HttpRequest& request) const;

  // One more request that makes pictures. Throws HttpError 429 when they come faster than the key's rate.
  void admit(const Caller& caller, Clock::time_point now = Clock::now());
  // `pictures` more on this day; negative: given back. Throws HttpError 429 if they are more than the day has left. A
  // disk that cannot count does not stop the service: the log says so.
  void charge(const Caller& caller, std::int64_t pictures, WallClock::time_point now = WallClock::now());
  // x-ratelimit-{limit,remaining,reset}-requests as OpenAI spells them: of the day's pictures where there is a quota,
  // else of the rate; none for a key without limits.
  std::vector<std::pair<std::string, std::string>> rate_headers(const Caller& caller,
                                                                Clock::time_point now = Clock::now(),
                                                                WallClock::time_point wall = WallClock::now());

 private:
  struct Bucket {  // of requests: holds a second's worth, at least one, and fills at the key's rate
    double tokens;
    Clock::time_point filled;
  };

  const Key* key_of(const Caller& caller) const;
  Bucket& filled_bucket(const Key& key, Clock::time_point now);
  std::int64_t used_today(const std::string& name, std::int64_t day);

  const std::filesystem::path file_;
  Database& database_;
  Metrics& metrics_;
  std::map<std::string, Key> by_sha256_;
  std::map<std::string, Bucket> buckets_;  // by name
};

}  // namespace holdall::runtime::service
