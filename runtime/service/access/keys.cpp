#include "runtime/service/access/keys.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "runtime/error.h"
#include "runtime/files/files.h"
#include "runtime/service/digest.h"
#include "runtime/service/log.h"
#include "runtime/service/settings_reader.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::ordered_json;

constexpr const char* kRoles[] = {"viewer", "editor", "admin"};  // in the enumeration's order
constexpr std::string_view kPrefix = "hk-";
constexpr int kKeyBytes = 32;
constexpr double kMaxQps = 100'000;
constexpr std::uint64_t kMaxQuota = 1'000'000'000;

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' ||
           c == '-';
  });
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void require_ours(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return;  // reading it tells what is wrong
  if (status.st_mode & (S_IWGRP | S_IWOTH))
    throw Error(ErrorKind::kStorage,
                "cannot trust '" + file.string() + "': others may write it: chmod go-w '" + file.string() + "'");
}

std::string to_json(const std::vector<Key>& keys) {
  ordered_json list = ordered_json::array();
  for (const Key& key : keys) {
    ordered_json entry = {{"name", key.name}, {"role", name_of(key.role)}, {"sha256", key.sha256}};
    if (key.qps) entry["qps"] = *key.qps;
    if (key.daily_quota) entry["daily_quota"] = *key.daily_quota;
    entry["created"] = key.created;
    list.push_back(std::move(entry));
  }
  return ordered_json{{"keys", std::move(list)}}.dump(2) + "\n";
}

// Holds the folder's lock: the file itself is replaced by every change.
class Turn {
 public:
  explicit Turn(const std::filesystem::path& file) {
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    fd_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd_ < 0) files::failed("open", folder, errno);
    while (::flock(fd_, LOCK_EX) != 0)
      if (const int error = errno; error != EINTR) {
        ::close(fd_);
        files::failed("lock", folder, error);
      }
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { ::close(fd_); }
  void sync() const { ::fsync(fd_); }

 private:
  int fd_;
};

void write_keys(const std::filesystem::path& file, const std::vector<Key>& keys, const Turn& turn) {
  const std::string text = to_json(keys);
  files::NewFile fresh(file);
  fresh.write(std::as_bytes(std::span(text)));
  fresh.sync();
  fresh.commit(0600);
  turn.sync();
}

}  // namespace

std::string_view name_of(Role role) noexcept {
  return kRoles[static_cast<int>(role)];
}

std::optional<Role> role_named(std::string_view name) noexcept {
  for (const Role role : {Role::kViewer, Role::kEditor, Role::kAdmin})
    if (name_of(role) == name) return role;
  return std::nullopt;
}

std::vector<Key> read_keys(const std::filesystem::path& file) {
  require_ours(file);
  Section root = Section::read(file);
  std::vector<Key> keys;
  std::set<std::string> names;
  for (Section& entry : root.list("keys")) {
    Key key;
    key.name = entry.text("name").value_or("");
    if (!is_name(key.name) || !names.insert(key.name).second)
      entry.refuse("name", "must be there once, and match [A-Za-z0-9._-]{1,64}");
    const auto role = role_named(entry.text("role").value_or(""));
    if (!role) entry.refuse("role", "must be viewer, editor or admin");
    key.role = *role;
    key.sha256 = entry.text("sha256").value_or("");
    if (!is_sha256(key.sha256)) entry.refuse("sha256", "must be 64 hexadecimal digits");
    key.qps = entry.number("qps", 0, kMaxQps);
    if (key.qps == 0) entry.refuse("qps", "must be above 0");
    key.daily_quota = entry.whole("daily_quota", 0, kMaxQuota);
    key.created = entry.text("created").value_or("");
    entry.expect_empty();
    keys.push_back(std::move(key));
  }
  root.expect_empty();
  return keys;
}

std::string add_key(const std::filesystem::path& file, Key key) {
  if (!is_name(key.name))
    throw Error(ErrorKind::kBadRequest, "cannot name a key '" + key.name + "': needed [A-Za-z0-9._-]{1,64}");
  const Turn turn(file);
  std::vector<Key> keys;
  if (std::filesystem::exists(file)) keys = read_keys(file);
  if (std::ranges::find(keys, key.name, &Key::name) != keys.end())
    throw Error(ErrorKind::kBadRequest, "a key named '" + key.name + "' is in '" + file.string() +
                                            "' already: choose another name, or revoke it first");
  std::string text = std::string(kPrefix) + random_hex(kKeyBytes);
  key.sha256 = sha256_hex(text);
  key.created = now_utc();
  keys.push_back(std::move(key));
  write_keys(file, keys, turn);
  return text;
}

void revoke_key(const std::filesystem::path& file, const std::string& name) {
  const Turn turn(file);
  std::vector<Key> keys = read_keys(file);
  if (std::erase_if(keys, [&](const Key& key) { return key.name == name; }) == 0)
    throw Error(ErrorKind::kNotFound, "no key named '" + name + "' in '" + file.string() + "': see keys list");
  write_keys(file, keys, turn);
}

}  // namespace holdall::runtime::service
