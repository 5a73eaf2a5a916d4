// Requests that are sent again with the same Idempotency-Key: what the key stood for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/service/edits/edit_form.h"
#include "runtime/service/http/http.h"
#include "runtime/service/store/database.h"

namespace holdall::runtime::service {

class Idempotency {
 public:
  static constexpr std::int64_t kKeptSeconds = 86'400;

  // `database` outlives it. Throws runtime::Error{kStorage}. Later, a disk that cannot be used remembers nothing, and
  // the log says so.
  explicit Idempotency(Database& database);

  // The request's key, made the caller's own; nullopt for none. Throws HttpError 400 for one that is empty, longer than
  // 255 characters, or not printable ASCII.
  static std::optional<std::string> key_in(const HttpRequest& request, const std::string& caller);
  // The seed of a request with this key that gives none: the same each time.
  static std::string seed_of(const std::string& key);
  // Of all that was asked for, however it was sent.
  static std::string digest_of(const EditForm& form, const std::string& path);

  // The job that the key was given, or "" if it was none; nullopt for a new key. Throws HttpError 422 if it stood for
  // another request.
  std::optional<std::string> find(const std::string& key, const std::string& digest, std::int64_t now);
  void remember(const std::string& key, const std::string& digest, const std::string& job, std::int64_t now);

 private:
  Database& database_;
};

}  // namespace holdall::runtime::service
