#include "packer/remembered.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "bundle/atomic_file.h"
#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "packer/input_file.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using nlohmann::json;

// The file: a line of JSON, then records in little-endian binary: a plan of a million files is to be read in a second.
constexpr const char* kMagic = "holdall-pack remembers";
constexpr int kVersion = 2;

// Kernels tick at least a hundred times a second, and the coarsest filesystem (FAT) has times of two seconds.
constexpr std::int64_t kRecent = 3'000'000'000;

json json_of(const FileIdentity& identity) {
  return {identity.device, identity.inode, identity.size, identity.mtime_ns, identity.ctime_ns};
}

FileIdentity identity_of(const json& value) {
  return {.device = value.at(0),
          .inode = value.at(1),
          .size = value.at(2),
          .mtime_ns = value.at(3),
          .ctime_ns = value.at(4)};
}

class RecordWriter {
 public:
  explicit RecordWriter(std::vector<std::byte>& out) : out_(out) {}
  void number(std::uint64_t value) { bundle::append_le(out_, value); }
  void flag(bool value) { out_.push_back(static_cast<std::byte>(value)); }
  void text(std::string_view text) {
    number(text.size());
    const auto bytes = bundle::as_byte_span(text);
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  void digest(const bundle::Digest& digest) {
    const auto bytes = std::as_bytes(std::span(digest));
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }

 private:
  std::vector<std::byte>& out_;
};

class RecordReader {
 public:
  explicit RecordReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool at_end() const { return bytes_.empty(); }
  std::uint64_t number() { return bundle::load_le<std::uint64_t>(take(sizeof(std::uint64_t)), 0); }
  std::int64_t time() { return static_cast<std::int64_t>(number()); }
  bool flag() { return take(1)[0] != std::byte{0}; }
  std::string text() {
    const auto bytes = take(number());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  bundle::Digest digest() {
    bundle::Digest digest{};
    const auto bytes = take(digest.size());
    std::memcpy(digest.data(), bytes.data(), bytes.size());
    return digest;
  }

 private:
  std::span<const std::byte> take(std::uint64_t size) {
    if (size > bytes_.size()) throw Error(ErrorKind::kBadBundle, "it ends within a record");
    const auto taken = bytes_.first(static_cast<std::size_t>(size));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

  std::span<const std::byte> bytes_;
};

void append(std::vector<std::byte>& out, const std::string& source, const RememberedFile& file) {
  RecordWriter record(out);
  record.text(source);
  record.number(file.identity.device);
  record.number(file.identity.inode);
  record.number(file.identity.size);
  record.number(static_cast<std::uint64_t>(file.identity.mtime_ns));
  record.number(static_cast<std::uint64_t>(file.identity.ctime_ns));
  record.flag(file.elf);
  record.flag(file.original.has_value());
  if (file.original) record.digest(*file.original);
  record.text(file.edit);
  record.digest(file.packed);
  record.number(file.chunks.size());
  for (const bundle::KnownChunk& chunk : file.chunks) {
    record.number(chunk.size);
    record.digest(chunk.digest);
    record.flag(chunk.zeros);
    record.digest(chunk.frame);
  }
}

std::pair<std::string, RememberedFile> next_file(RecordReader& record) {
  std::string source = record.text();
  RememberedFile file;
  file.identity.device = record.number();
  file.identity.inode = record.number();
  file.identity.size = record.number();
  file.identity.mtime_ns = record.time();
  file.identity.ctime_ns = record.time();
  file.elf = record.flag();
  if (record.flag()) file.original = record.digest();
  file.edit = record.text();
  file.packed = record.digest();
  for (std::uint64_t left = record.number(); left > 0; --left) {
    bundle::KnownChunk& chunk = file.chunks.emplace_back();
    chunk.size = record.number();
    chunk.digest = record.digest();
    chunk.zeros = record.flag();
    chunk.frame = record.digest();
  }
  return {std::move(source), std::move(file)};
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
  const auto refuse = [&](const std::string& cause) {
    return Error(ErrorKind::kUsage,
                 "'" + path_ + "' is not what --remember has written: " + cause + ": name another file, or remove it");
  };
  try {
    const InputFile file(path_);
    std::byte first{};  // an archive, given by mistake, is not read whole
    if (file.read_some(0, {&first, 1}) != 1 || first != std::byte{'{'}) throw refuse("it does not begin as that does");
    const std::string notes = read_whole(file, file.size());
    const std::size_t line = notes.find('\n');
    const json head = json::parse(std::string_view(notes).substr(0, line));
    if (head.at(kMagic).get<int>() != kVersion) return;  // another version's: written anew
    depended_ = head.at("depends").get<std::map<std::string, std::string>>();
    if (!head.at("archive").is_null()) archive_ = identity_of(head.at("archive"));
    if (line == std::string::npos) throw refuse("it ends within a line");
    RecordReader records(bundle::as_byte_span(notes).subspan(line + 1));
    while (!records.at_end()) known_.insert(next_file(records));
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
  if (found == known_.end() || packer::identity_of(source) != found->second.identity) return nullptr;
  return &found->second;
}

bool Remembered::is_as_written(const std::string& archive) const {
  return archive_ && packer::identity_of(archive) == archive_;
}

void Remembered::note(const std::string& source, const RememberedFile& file) {
  if (std::max(file.identity.mtime_ns, file.identity.ctime_ns) < recent_ns_) append(noted_, source, file);
}

// A clock that ticks in seconds would not show who changes it right away.
void Remembered::note_archive(const std::string& path) {
  const std::optional<FileIdentity> identity = packer::identity_of(path);
  if (identity && identity->ctime_ns % 1'000'000'000 != 0) written_ = identity;
}

void Remembered::save() const {
  bundle::AtomicFile file(path_);
  const json head{{kMagic, kVersion}, {"depends", depends_}, {"archive", written_ ? json_of(*written_) : json()}};
  file.write(bundle::as_byte_span(head.dump() + "\n"));
  file.write(noted_);
  file.commit();
}

}  // namespace holdall::packer
