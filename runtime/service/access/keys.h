// The keys file: who may call, as what, and how much. JSON with digests only; a key itself is shown once, when it is
// made.
//   {"keys":[{"name":"ci","role":"editor","sha256":"…","qps":2,"daily_quota":500,"created":"2026-01-31T12:00:00Z"}]}
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::runtime::service {

enum class Role { kViewer, kEditor, kAdmin };  // each may do what those before it may

std::string_view name_of(Role role) noexcept;
std::optional<Role> role_named(std::string_view name) noexcept;

struct Key {
  std::string name;  // unique
  Role role = Role::kViewer;
  std::string sha256;                        // of the key, in hex. 256 random bits need neither salt nor a slow hash.
  std::optional<double> qps;                 // requests per second that make pictures
  std::optional<std::uint64_t> daily_quota;  // pictures per day, UTC
  std::string created;                       // RFC 3339
};

// Throws runtime::Error: kNotFound; kStorage if it cannot be read, or others than its owner may write it; kBadRequest
// with the JSON pointer for its content.
std::vector<Key> read_keys(const std::filesystem::path& file);

// Adds to the file, which is made with mode 0600 if it is missing, and returns the new key's text: the only time that
// it is seen. `key.sha256` and `key.created` are filled in. Two programs at once take turns. Throws as read_keys();
// kBadRequest for a name that is taken or not [A-Za-z0-9._-]{1,64}.
std::string add_key(const std::filesystem::path& file, Key key);

// Throws as read_keys(); kNotFound if no key has this name.
void revoke_key(const std::filesystem::path& file, const std::string& name);

}  // namespace holdall::runtime::service
