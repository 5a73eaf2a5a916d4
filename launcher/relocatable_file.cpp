#include "launcher/relocatable_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "bundle/error.h"
#include "bundle/file_io.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;
using bundle::system_error;

constexpr std::size_t kBlock = std::size_t{1} << 20;

void write_at(int fd, std::uint64_t offset, std::string_view bytes, const std::string& path) {
  if (!bundle::pwrite_all(fd, std::as_bytes(std::span(bytes)), offset)) throw system_error(errno, "write", path);
}

}  // namespace

RelocatableFile::RelocatableFile(const bundle::RelocatedFile& record, FileDescriptor file)
    : record_(record), file_(std::move(file)) {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) throw system_error(errno, "stat", record.path);
  size_ = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
}

std::string RelocatableFile::read_at(std::uint64_t offset, std::size_t size) const {
  std::string bytes(size, '\0');
  const ssize_t got = bundle::pread_all(file_.get(), std::as_writable_bytes(std::span(bytes)), offset);
  if (got < 0) throw system_error(errno, "read", record_.path);
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

std::string RelocatableFile::whole() const {
  return read_at(0, static_cast<std::size_t>(size_));
}

std::optional<std::string> RelocatableFile::packed_text(const std::string& text, const HeldPrefix& held) const {
  try {
    return held ? bundle::unrelocate(text, record_.records, *held) : text;
  } catch (const Error&) {
    return std::nullopt;  // it does not hold this one
  }
}

std::optional<std::vector<RelocatableFile::Patch>> RelocatableFile::packed_fields(const HeldPrefix& held) const {
  std::vector<Patch> patches;
  try {
    for (const bundle::Field& field : bundle::fields_of(record_.records, record_.size)) {
      std::string bytes = read_at(field.offset, field.size);
      patches.push_back({field.offset, held ? bundle::unrelocate(bytes, field, *held) : std::move(bytes)});
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kStorage) throw;
    return std::nullopt;
  }
  return patches;
}

bundle::Digest RelocatableFile::digest_with(const std::vector<Patch>& patches) const {
  bundle::Sha256 hash;
  auto first = patches.begin();  // that does not end before the block; they ascend
  for (std::uint64_t offset = 0; offset < size_; offset += kBlock) {
    std::string block = read_at(offset, static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, size_ - offset)));
    while (first != patches.end() && first->offset + first->bytes.size() <= offset) ++first;
    for (auto patch = first; patch != patches.end() && patch->offset < offset + block.size(); ++patch) {
      const std::uint64_t begin = std::max(patch->offset, offset);
      const std::uint64_t end = std::min(patch->offset + patch->bytes.size(), offset + block.size());
      block.replace(static_cast<std::size_t>(begin - offset), static_cast<std::size_t>(end - begin), patch->bytes,
                    static_cast<std::size_t>(begin - patch->offset), static_cast<std::size_t>(end - begin));
    }
    hash.update(std::as_bytes(std::span(block)));
  }
  return hash.finish();
}

std::optional<HeldPrefix> RelocatableFile::find_held(const std::vector<HeldPrefix>& candidates) const {
  if (is_text()) {
    if (size_ > bundle::kLargestText) return std::nullopt;
    const std::string text = whole();
    for (const HeldPrefix& held : candidates) {
      const auto packed = packed_text(text, held);
      if (packed && packed->size() == record_.size &&
          bundle::sha256(std::as_bytes(std::span(*packed))) == record_.digest)
        return held;
    }
    return std::nullopt;
  }
  if (size_ != record_.size) return std::nullopt;
  for (const HeldPrefix& held : candidates) {
    const auto packed = packed_fields(held);
    if (packed && digest_with(*packed) == record_.digest) return held;
  }
  return std::nullopt;
}

std::string RelocatableFile::packed_head(const HeldPrefix& held, std::size_t size) const {
  if (is_text()) return packed_text(whole(), held).value_or("").substr(0, size);
  std::string head = read_at(0, size);
  for (const Patch& patch : packed_fields(held).value_or(std::vector<Patch>{})) {
    if (patch.offset >= head.size()) break;
    const auto at = static_cast<std::size_t>(patch.offset);
    head.replace(at, std::min(patch.bytes.size(), head.size() - at), patch.bytes, 0, head.size() - at);
  }
  return head;
}

void RelocatableFile::copy_to(int out) const {
  std::uint64_t done = 0;
  while (done < size_) {  // shares the blocks where the filesystem can
    const ssize_t copied =
        ::copy_file_range(file_.get(), nullptr, out, nullptr, static_cast<std::size_t>(size_ - done), 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied <= 0) break;  // not supported here: as below
    done += static_cast<std::uint64_t>(copied);
  }
  while (done < size_) {
    const std::string block = read_at(done, static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, size_ - done)));
    if (block.empty()) throw Error(ErrorKind::kBadBundle, "'" + record_.path + "' changed while it was read");
    write_at(out, done, block, record_.path);
    done += block.size();
  }
}

bool RelocatableFile::has_loader_room() const {
  return std::ranges::find(record_.records, bundle::RelocationKind::kInterpreter, &bundle::Relocation::kind) !=
         record_.records.end();
}

bundle::LibcChoice RelocatableFile::libc() const {
  if (!has_loader_room()) return bundle::LibcChoice::kHost;
  for (const bundle::Field& field : bundle::fields_of(record_.records, record_.size))
    if (bundle::libc_of(read_at(field.offset, field.size), field) == bundle::LibcChoice::kBundled)
      return bundle::LibcChoice::kBundled;
  return bundle::LibcChoice::kHost;
}

void RelocatableFile::write_with(const HeldPrefix& held, const Wanted& wanted, int out) const {
  const auto changed = [&] { return Error(ErrorKind::kBadBundle, "'" + record_.path + "' changed while it was read"); };
  if (is_text()) {
    const auto packed = packed_text(whole(), held);
    if (!packed) throw changed();
    write_at(out, 0, wanted.prefix ? bundle::relocate(*packed, record_.records, *wanted.prefix) : *packed,
             record_.path);
  } else {
    const auto packed = packed_fields(held);
    if (!packed) throw changed();
    copy_to(out);
    const auto fields = bundle::fields_of(record_.records, record_.size);
    for (std::size_t i = 0; i < fields.size(); ++i)
      write_at(out, fields[i].offset,
               wanted.prefix ? bundle::relocate((*packed)[i].bytes, fields[i], *wanted.prefix, wanted.libc)
                             : (*packed)[i].bytes,
               record_.path);
  }
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) throw system_error(errno, "stat", record_.path);
  // Another user's file becomes ours where we may not give it away.
  if ((status.st_uid != ::geteuid() || status.st_gid != ::getegid()) &&
      ::fchown(out, status.st_uid, status.st_gid) != 0 && errno != EPERM)
    throw system_error(errno, "set the owner of", record_.path);
  const timespec times[2] = {status.st_atim, status.st_mtim};
  // Not setuid nor setgid, which no bundle has: the content is another's, the owner now may be us.
  if (::fchmod(out, status.st_mode & 0777) != 0) throw system_error(errno, "set the mode of", record_.path);
  if (::futimens(out, times) != 0) throw system_error(errno, "set the time of", record_.path);
}

}  // namespace holdall::launcher
