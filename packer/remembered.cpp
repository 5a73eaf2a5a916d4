#include "packer/remembered.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bundle/atomic_file.h"
#include "bundle/error.h"
#include "packer/input_file.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using nlohmann::json;

constexpr const char* kMagic = "holdall-pack remembers";
constexpr int kVersion = 1;

// Kernels tick at least a hundred times a second, and the coarsest filesystem (FAT) has times of two seconds.
constexpr std::int64_t kRecent = 3'000'000'000;

json json_of(const FileIdentity& identity) {
  return {identity.device, identity.inode, identity.size, identity.mtime_ns, identity.ctime_ns};
}

json line_of(const std::string& source, const RememberedFile& file) {
  json chunks = json::array();
  for (const bundle::KnownChunk& chunk : file.chunks)
    chunks.push_back({chunk.size, bundle::to_hex(chunk.digest), chunk.zeros, bundle::to_hex(chunk.frame)});
  return {source,    json_of(file.identity),      file.original ? json(bundle::to_hex(*file.original)) : json(),
          file.edit, bundle::to_hex(file.packed), chunks};
}

std::pair<std::string, RememberedFile> file_of(const json& line) {
  RememberedFile file;
  const json& identity = line.at(1);
  file.identity = {.device = identity.at(0),
                   .inode = identity.at(1),
                   .size = identity.at(2),
                   .mtime_ns = identity.at(3),
                   .ctime_ns = identity.at(4)};
  if (!line.at(2).is_null()) file.original = bundle::parse_digest(line.at(2).get<std::string>());
  file.edit = line.at(3);
  file.packed = bundle::parse_digest(line.at(4).get<std::string>());
  for (const json& chunk : line.at(5)) {
    file.chunks.push_back({.size = chunk.at(0),
                           .digest = bundle::parse_digest(chunk.at(1).get<std::string>()),
                           .zeros = chunk.at(2),
                           .frame = bundle::parse_digest(chunk.at(3).get<std::string>())});
  }
  return {line.at(0), std::move(file)};
}

}  // namespace

std::int64_t wall_clock_ns() {
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

Remembered::Remembered(std::string path, std::int64_t now_ns) : path_(std::move(path)), recent_ns_(now_ns - kRecent) {
  load();
}

void Remembered::load() {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) {
    if (errno == ENOENT) return;
    throw bundle::system_error(errno, "open", path_);
  }
  std::ifstream file(path_);
  std::string line;
  const auto refuse = [&](const std::string& cause) {
    return Error(ErrorKind::kUsage,
                 "'" + path_ + "' is not what --remember has written: " + cause + ": name another file, or remove it");
  };
  try {
    if (!std::getline(file, line)) throw refuse("it cannot be read, or is empty");
    const json head = json::parse(line);
    if (head.at(kMagic).get<int>() != kVersion) return;  // another version's: written anew
    depended_ = head.at("depends").get<std::map<std::string, std::string>>();
    while (std::getline(file, line)) known_.insert(file_of(json::parse(line)));
  } catch (const json::exception& error) {
    throw refuse(error.what());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kUsage) throw;
    throw refuse(error.what());
  }
}

void Remembered::depend_on(const std::string& what, const std::string& value) {
  depends_[what] = value;
  const auto found = depended_.find(what);
  if (found == depended_.end() || found->second != value) known_.clear();
}

const RememberedFile* Remembered::find(const std::string& source) const {
  const auto found = known_.find(source);
  if (found == known_.end() || identity_of(source) != found->second.identity) return nullptr;
  return &found->second;
}

void Remembered::note(const std::string& source, const RememberedFile& file) {
  if (std::max(file.identity.mtime_ns, file.identity.ctime_ns) >= recent_ns_) return;
  try {
    noted_.push_back(line_of(source, file).dump());
  } catch (const json::type_error&) {
    // A path that is not UTF-8 has no place in JSON: the file is read again the next time.
  }
}

void Remembered::save() const {
  bundle::AtomicFile file(path_);
  const auto write = [&](const std::string& line) {
    file.write(std::as_bytes(std::span(line)));
    file.write(std::as_bytes(std::span("\n", 1)));
  };
  write(json{{kMagic, kVersion}, {"depends", depends_}}.dump());
  for (const std::string& line : noted_) write(line);
  file.commit();
}

}  // namespace holdall::packer
