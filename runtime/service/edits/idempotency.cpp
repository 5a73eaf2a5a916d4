#include "runtime/service/edits/idempotency.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "runtime/error.h"
#include "runtime/service/digest.h"
#include "runtime/service/http/http_error.h"
#include "runtime/service/log.h"

namespace holdall::runtime::service {
namespace {

constexpr std::size_t kLongest = 255;

std::string digest(const std::vector<std::byte>& bytes) {
  return sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

Idempotency::Idempotency(Database& database) : database_(database) {
  database_.run(
      "CREATE TABLE IF NOT EXISTS idempotency (key TEXT PRIMARY KEY, sha256 TEXT, job TEXT, created INTEGER)");
}

std::optional<std::string> Idempotency::key_in(const HttpRequest& request, const std::string& caller) {
  const std::string* key = request.header("idempotency-key");
  if (!key) return std::nullopt;
  if (key->empty() || key->size() > kLongest ||
      !std::all_of(key->begin(), key->end(), [](char c) { return c >= ' ' && c <= '~'; }))
    throw bad_field("Idempotency-Key", "'Idempotency-Key' must be 1 to 255 printable ASCII characters");
  return sha256_hex(caller + "\n" + *key);
}

std::string Idempotency::seed_of(const std::string& key) {
  return std::to_string(std::stoul(key.substr(0, 8), nullptr, 16));
}

std::string Idempotency::digest_of(const EditForm& form, const std::string& path) {
  std::string all = path;
  for (const auto& [name, value] : form.fields) all += "\n" + name + " " + sha256_hex(value);
  for (const auto& image : form.images) all += "\nimage " + digest(image);
  if (form.mask) all += "\nmask " + digest(*form.mask);
  return sha256_hex(all);
}

std::optional<std::string> Idempotency::find(const std::string& key, const std::string& digest, std::int64_t now) {
  std::vector<Database::Row> rows;
  try {
    rows =
        database_.run("SELECT sha256, job FROM idempotency WHERE key = ?1 AND created > ?2", {key, now - kKeptSeconds});
  } catch (const Error& error) {
    log_warning("idempotency_failed", {{"message", error.what()}});
  }
  if (rows.empty()) return std::nullopt;
  if (std::get<std::string>(rows[0][0]) != digest)
    throw HttpError(422, "idempotency_mismatch",
                    "this 'Idempotency-Key' was sent with another request: use a new key for a new request",
                    "Idempotency-Key");
  return std::get<std::string>(rows[0][1]);
}

void Idempotency::remember(const std::string& key, const std::string& digest, const std::string& job,
                           std::int64_t now) {
  try {
    database_.run("INSERT OR REPLACE INTO idempotency VALUES (?1, ?2, ?3, ?4)", {key, digest, job, now});
    database_.run("DELETE FROM idempotency WHERE created <= ?1", {now - kKeptSeconds});
  } catch (const Error& error) {
    log_warning("idempotency_failed", {{"message", error.what()}});
  }
}

}  // namespace holdall::runtime::service
