#include "runtime/service/edits/edit_cache.h"

#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/files/files.h"
#include "runtime/service/edits/edit_archive.h"
#include "runtime/service/edits/edit_reply.h"
#include "runtime/service/log.h"

namespace holdall::runtime::service {
namespace {

std::int64_t whole_of(const Database::Value& value) {
  const auto* whole = std::get_if<std::int64_t>(&value);
  return whole ? *whole : 0;
}

void warn(const Error& error) {
  log_warning("cache_failed", {{"message", error.what()}});
}

}  // namespace

EditCache::EditCache(const std::filesystem::path& state, Database& database)
    : folder_(state / "cache"), database_(database) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) files::failed("make", folder_, error.value());
  std::filesystem::permissions(folder_, std::filesystem::perms::owner_all, error);
  database_.run(
      "CREATE TABLE IF NOT EXISTS cache (key TEXT PRIMARY KEY, created INTEGER, used INTEGER, bytes INTEGER, "
      "sha256 TEXT)");
}

std::optional<EditResult> EditCache::get(const std::string& key, std::int64_t now) {
  try {
    return read(key, now);
  } catch (const Error& error) {
    warn(error);
    return std::nullopt;
  }
}

std::optional<EditResult> EditCache::read(const std::string& key, std::int64_t now) {
  const auto rows =
      database_.run("SELECT sha256 FROM cache WHERE key = ?1 AND created > ?2", {key, now - limits_.ttl.count()});
  if (rows.empty() || limits_.max_bytes == 0) return std::nullopt;
  try {
    EditResult result = read_result(folder_ / key);
    // Files are not synced: after a power cut one may hold anything.
    if (Database::Value(digest_of(result)) != rows[0][0]) throw Error(ErrorKind::kStorage, "a result was changed");
    database_.run("UPDATE cache SET used = ?2 WHERE key = ?1", {key, now});
    return result;
  } catch (const Error& error) {
    warn(error);
    forget(key);
    return std::nullopt;
  }
}

void EditCache::put(const std::string& key, const EditResult& result, std::int64_t now) {
  if (limits_.max_bytes == 0) return;
  try {
    write(key, result, now);
  } catch (const Error& error) {
    warn(error);
  }
}

void EditCache::write(const std::string& key, const EditResult& result, std::int64_t now) {
  std::int64_t bytes = 0;
  for (const auto& picture : result.pictures) bytes += static_cast<std::int64_t>(picture.bytes.size());
  write_result(folder_ / key, result, Durability::kProcess);
  database_.run("INSERT OR REPLACE INTO cache VALUES (?1, ?2, ?2, ?3, ?4)", {key, now, bytes, digest_of(result)});
  make_room(now);
}

void EditCache::make_room(std::int64_t now) {
  for (const auto& row : database_.run("SELECT key FROM cache WHERE created <= ?1", {now - limits_.ttl.count()}))
    forget(std::get<std::string>(row[0]));
  while (static_cast<std::uint64_t>(whole_of(database_.run("SELECT sum(bytes) FROM cache")[0][0])) > limits_.max_bytes)
    forget(std::get<std::string>(database_.run("SELECT key FROM cache ORDER BY used, created, rowid LIMIT 1")[0][0]));
}

void EditCache::forget(const std::string& key) {
  database_.run("DELETE FROM cache WHERE key = ?1", {key});
  std::error_code ignored;
  std::filesystem::remove(folder_ / key, ignored);
}

}  // namespace holdall::runtime::service
