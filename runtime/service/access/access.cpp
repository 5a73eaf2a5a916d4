#include "runtime/service/access/access.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/service/digest.h"
#include "runtime/service/http/http_error.h"
#include "runtime/service/log.h"
#include "runtime/service/metrics.h"

namespace holdall::runtime::service {
namespace {

using std::chrono::days;

std::int64_t day_of(Access::WallClock::time_point now) {
  return std::chrono::floor<days>(now).time_since_epoch().count();
}

double seconds_to_midnight(Access::WallClock::time_point now) {
  return std::chrono::duration<double>(std::chrono::floor<days>(now) + days(1) - now).count();
}

double burst_of(const Key& key) {
  return std::max(1.0, *key.qps);
}

// As OpenAI writes durations: "250ms", "6m0s", "1h0m0s".
std::string duration_text(double seconds) {
  if (seconds < 1) return std::to_string(std::lround(std::ceil(seconds * 1000))) + "ms";
  const long whole = std::lround(std::ceil(seconds)), hours = whole / 3600, minutes = whole / 60 % 60;
  std::string text = std::to_string(whole % 60) + "s";
  if (whole >= 60) text = std::to_string(minutes) + "m" + text;
  if (hours > 0) text = std::to_string(hours) + "h" + text;
  return text;
}

std::string key_in(const HttpRequest& request) {
  if (const std::string* key = request.header("x-api-key")) return *key;
  const std::string* value = request.header("authorization");
  constexpr std::string_view kScheme = "bearer ";
  if (!value || value->size() < kScheme.size() ||
      !std::equal(kScheme.begin(), kScheme.end(), value->begin(),
                  [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); }))
    return "";
  const auto begin = value->find_first_not_of(' ', kScheme.size());
  return begin == std::string::npos ? "" : value->substr(begin);
}

}  // namespace

void require_role(const Caller& caller, Role needed) {
  if (caller.role < needed)
    throw HttpError(403, "insufficient_role",
                    "the key '" + caller.name + "' is a " + std::string(name_of(caller.role)) +
                        "'s: this needs the role " + std::string(name_of(needed)));
}

Access::Access(std::filesystem::path keys, Database& database, Metrics& metrics)
    : file_(std::move(keys)), database_(database), metrics_(metrics) {
  database_.run("CREATE TABLE IF NOT EXISTS pictures (key TEXT, day INTEGER, count INTEGER, PRIMARY KEY (key, day))");
  reload();
}

void Access::reload() {
  if (file_.empty()) return;
  std::map<std::string, Key> fresh;
  for (Key& key : read_keys(file_)) {
    std::string digest = key.sha256;
    fresh.emplace(std::move(digest), std::move(key));
  }
  by_sha256_ = std::move(fresh);
}

Caller Access::identify(const HttpRequest& request) const {
  if (!asks_for_keys()) return {};
  const std::string key = key_in(request);
  // Found by its digest: how long that takes says nothing about the keys.
  const auto found = key.empty() ? by_sha256_.end() : by_sha256_.find(sha256_hex(key));
  if (found != by_sha256_.end()) return {found->second.name, found->second.role};
  metrics_.authentication_failed(key.empty() ? "missing" : "unknown");
  throw HttpError(401, "invalid_api_key",
                  key.empty() ? "this server asks for a key: send 'Authorization: Bearer KEY'"
                              : "this key is not known here: ask whoever runs this server for one")
      .with("WWW-Authenticate", "Bearer");
}

const Key* Access::key_of(const Caller& caller) const {
  for (const auto& [digest, key] : by_sha256_)
    if (key.name == caller.name) return &key;
  return nullptr;  // no keys are asked for, or it was revoked meanwhile
}

Access::Bucket& Access::filled_bucket(const Key& key, Clock::time_point now) {
  Bucket& bucket = buckets_.try_emplace(key.name, Bucket{burst_of(key), now}).first->second;
  const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
  bucket = {std::min(burst_of(key), bucket.tokens + seconds * *key.qps), now};
  return bucket;
}

void Access::admit(const Caller& caller, Clock::time_point now) {
  const Key* key = key_of(caller);
  if (!key || !key->qps) return;
  Bucket& bucket = filled_bucket(*key, now);
  if (bucket.tokens < 1)
    throw HttpError(429, "rate_limit_exceeded", "the key '" + key->name + "' sends more requests a second than it may")
        .retry_after((1 - bucket.tokens) / *key->qps);
  bucket.tokens -= 1;
}

std::int64_t Access::used_today(const std::string& name, std::int64_t day) {
  const auto rows = database_.run("SELECT count FROM pictures WHERE key = ?1 AND day = ?2", {name, day});
  return rows.empty() ? 0 : std::get<std::int64_t>(rows[0][0]);
}

void Access::charge(const Caller& caller, std::int64_t pictures, WallClock::time_point now) {
  const Key* key = key_of(caller);
  if (!key || !key->daily_quota) return;
  const auto quota = static_cast<std::int64_t>(*key->daily_quota);
  const std::int64_t day = day_of(now);
  try {
    // In one statement: the service that this one takes over from counts, too.
    database_.run(
        "INSERT INTO pictures SELECT ?1, ?2, max(0, ?3) WHERE ?3 <= ?4 "
        "ON CONFLICT DO UPDATE SET count = max(0, count + ?3) WHERE count + ?3 <= ?4",
        {key->name, day, pictures, quota});
    const bool counted = database_.changed() > 0;
    database_.run("DELETE FROM pictures WHERE day < ?1", {day - 1});
    if (counted) return;
  } catch (const Error& error) {
    return log_warning("quota_not_counted", {{"key_name", key->name}, {"message", error.what()}});
  }
  throw HttpError(429, "insufficient_quota",
                  "the key '" + key->name + "' has " +
                      std::to_string(std::max<std::int64_t>(0, quota - used_today(key->name, day))) + " of its " +
                      std::to_string(quota) + " pictures of this day left (UTC), " + std::to_string(pictures) +
                      " were asked for")
      .retry_after(seconds_to_midnight(now))
      .final();
}

std::vector<std::pair<std::string, std::string>> Access::rate_headers(const Caller& caller, Clock::time_point now,
                                                                      WallClock::time_point wall) {
  const Key* key = key_of(caller);
  if (!key || (!key->qps && !key->daily_quota)) return {};
  std::int64_t limit = 0, remaining = 0;
  double reset = 0;
  if (key->daily_quota) {
    limit = static_cast<std::int64_t>(*key->daily_quota);
    remaining = std::max<std::int64_t>(0, limit - used_today(key->name, day_of(wall)));
    reset = seconds_to_midnight(wall);
  } else {
    const Bucket& bucket = filled_bucket(*key, now);
    limit = static_cast<std::int64_t>(burst_of(*key));
    remaining = static_cast<std::int64_t>(bucket.tokens);
    reset = (burst_of(*key) - bucket.tokens) / *key->qps;
  }
  return {{"x-ratelimit-limit-requests", std::to_string(limit)},
          {"x-ratelimit-remaining-requests", std::to_string(remaining)},
          {"x-ratelimit-reset-requests", duration_text(reset)}};
}

}  // namespace holdall::runtime::service
