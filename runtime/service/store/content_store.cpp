#include "runtime/service/store/content_store.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "runtime/service/digest.h"
#include "runtime/service/http/http_error.h"

namespace holdall::runtime::service {
namespace {

std::int64_t seconds_of(ContentStore::WallClock::time_point time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

// The first value of `name` in "a=1&b=2"; empty: none.
std::string_view value_of(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) return pair.substr(name.size() + 1);
    query = end == query.npos ? "" : query.substr(end + 1);
  }
  return {};
}

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

ContentStore::ContentStore(Database& database) : database_(database) {
  database_.run("CREATE TABLE IF NOT EXISTS contents (id TEXT PRIMARY KEY, expires INTEGER, type TEXT, picture BLOB)");
  database_.run("CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT)");
  // Two services that start at once agree on the first one's.
  database_.run("INSERT OR IGNORE INTO secrets VALUES ('content', ?1)", {random_hex(32)});
  key_ = std::get<std::string>(database_.run("SELECT value FROM secrets WHERE name = 'content'").at(0).at(0));
}

std::string ContentStore::signature_of(const std::string& id, std::int64_t expires) const {
  const std::string text = id + "\n" + std::to_string(expires);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), digest.data(), &size);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

std::string ContentStore::put(std::span<const std::byte> picture, const std::string& content_type,
                              std::chrono::seconds ttl, WallClock::time_point now) {
  database_.run("DELETE FROM contents WHERE expires <= ?1", {seconds_of(now)});
  const std::string id = random_hex(16);
  const std::int64_t expires = seconds_of(now + ttl);
  database_.run(
      "INSERT INTO contents VALUES (?1, ?2, ?3, ?4)",
      {id, expires, content_type, std::string(reinterpret_cast<const char*>(picture.data()), picture.size())});
  return "/v1/images/" + id + "/content?expires=" + std::to_string(expires) + "&signature=" + signature_of(id, expires);
}

HttpReply ContentStore::get(const std::string& id, const std::string& query, WallClock::time_point now) {
  const auto expires = whole(value_of(query, "expires"));
  const std::string_view given = value_of(query, "signature");
  const std::string needed = signature_of(id, expires.value_or(0));
  if (!expires || given.size() != needed.size() || CRYPTO_memcmp(given.data(), needed.data(), needed.size()) != 0)
    throw HttpError(403, "bad_signature", "this address is not one of this server: use it as it was given");
  const auto rows = *expires <= seconds_of(now)
                        ? std::vector<Database::Row>{}
                        : database_.run("SELECT type, picture FROM contents WHERE id = ?1", {id});
  if (rows.empty()) throw HttpError(410, "expired", "this picture has expired: edit again");
  HttpReply reply;
  reply.content_type = std::get<std::string>(rows[0].at(0));
  reply.body = std::get<std::string>(rows[0].at(1));
  reply.headers = {{"Cache-Control", "private, max-age=" + std::to_string(*expires - seconds_of(now))},
                   {"X-Content-Type-Options", "nosniff"}};
  return reply;
}

}  // namespace holdall::runtime::service
