#include <archive.h>
#include <archive_entry.h>
#include <memory>

#include "bundle/error.h"
#include "bundle/tar_header.h"
#include "bundle/utf8_locale.h"

namespace holdall::bundle {

namespace {

struct FreeArchive {
  void operator()(archive* handle) const { archive_write_free(handle); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

// What takes the header. The payload, which libarchive makes up when it is freed without having seen one, is refused:
// so freeing it is quick, and orderly (after archive_write_fail it would not free all it has).
struct HeaderSink {
  std::string bytes;
  bool complete = false;
};

// A C callback: no exception may leave it.
la_ssize_t append(archive* handle, void* sink, const void* data, size_t size) noexcept {
  auto& header = *static_cast<HeaderSink*>(sink);
  if (header.complete) return -1;
  try {
    header.bytes.append(static_cast<const char*>(data), size);
  } catch (...) {
    archive_set_error(handle, ENOMEM, "out of memory");
    return -1;
  }
  return static_cast<la_ssize_t>(size);
}

}  // namespace

std::string make_tar_header(const Entry& entry, std::int64_t mtime) {
  const auto fail = [&](const std::string& cause) {
    return Error(ErrorKind::kInternal, "cannot make the tar header of '" + entry.path + "': " + cause);
  };
  if (mtime < 0 || mtime >= std::int64_t{1} << 33) throw fail("mtime " + std::to_string(mtime) + " is out of range");
  const Utf8Locale locale;
  HeaderSink sink;  // outlives the archive, which writes while it is freed
  const std::unique_ptr<archive, FreeArchive> tar(archive_write_new());
  const std::unique_ptr<archive_entry, FreeEntry> member(archive_entry_new());
  if (!tar || !member) throw fail("out of memory");
  // "Restricted": a PAX header only where ustar cannot say it.
  if (archive_write_set_format_pax_restricted(tar.get()) != ARCHIVE_OK ||
      archive_write_set_bytes_per_block(tar.get(), 0) != ARCHIVE_OK ||
      archive_write_open(tar.get(), &sink, nullptr, append, nullptr) != ARCHIVE_OK) {
    throw fail(archive_error_string(tar.get()));
  }
  archive_entry_set_pathname(member.get(), entry.path.c_str());
  archive_entry_set_mtime(member.get(), static_cast<time_t>(mtime), 0);
  archive_entry_set_uid(member.get(), 0);
  archive_entry_set_gid(member.get(), 0);
  const bool plain = entry.type == EntryType::kRegular && !entry.executable;
  archive_entry_set_perm(member.get(), plain ? 0644 : 0755);
  switch (entry.type) {
    case EntryType::kDirectory:
      archive_entry_set_filetype(member.get(), AE_IFDIR);
      break;
    case EntryType::kSymlink:
      archive_entry_set_filetype(member.get(), AE_IFLNK);
      archive_entry_set_symlink(member.get(), entry.link_target.c_str());
      break;
    case EntryType::kRegular:
      archive_entry_set_filetype(member.get(), AE_IFREG);
      break;
  }
  archive_entry_set_size(member.get(), entry.type == EntryType::kRegular ? static_cast<la_int64_t>(entry.size) : 0);
  if (archive_write_header(tar.get(), member.get()) != ARCHIVE_OK) throw fail(archive_error_string(tar.get()));
  sink.complete = true;
  return sink.bytes;
}

}  // namespace holdall::bundle
