#include <archive.h>
#include <archive_entry.h>

#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>

#include "bundle/error.h"
#include "bundle/utf8_locale.h"
#include "packer/output/container.h"

namespace holdall::packer {
namespace {

using bundle::EntryType;
using bundle::Error;
using bundle::ErrorKind;

struct FreeArchive {
  void operator()(archive* handle) const { archive_write_free(handle); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

class ZipContainer final : public Container {
 public:
  ZipContainer(bundle::ByteSink sink, int level, std::int64_t mtime)
      : sink_(std::move(sink)), mtime_(mtime), zip_(archive_write_new()), member_(archive_entry_new()) {
    ::setenv("TZ", "UTC0", 1);
    ::tzset();
    if (!zip_ || !member_) throw Error(ErrorKind::kInternal, "cannot write a zip: out of memory");
    require(archive_write_set_format_zip(zip_.get()));
    require(archive_write_set_format_option(zip_.get(), "zip", "compression-level", std::to_string(level).c_str()));
    require(archive_write_set_bytes_per_block(zip_.get(), 0));
    require(archive_write_open(zip_.get(), this, nullptr, append, nullptr));
  }

  // libarchive writes an end now, that nobody asked for if it has none. Told to fail instead, it would leak memory.
  ~ZipContainer() override { discards_ = true; }

  void begin(const bundle::Entry& entry) override {
    path_ = entry.path;
    archive_entry* const member = archive_entry_clear(member_.get());
    archive_entry_set_pathname(member, entry.path.c_str());
    archive_entry_set_mtime(member, static_cast<time_t>(mtime_), 0);
    archive_entry_set_uid(member, 0);
    archive_entry_set_gid(member, 0);
    const bool plain = entry.type == EntryType::kRegular && !entry.executable;
    archive_entry_set_perm(member, plain ? 0644 : 0755);
    archive_entry_set_size(member, 0);
    switch (entry.type) {
      case EntryType::kDirectory:
        archive_entry_set_filetype(member, AE_IFDIR);
        break;
      case EntryType::kSymlink:
        archive_entry_set_filetype(member, AE_IFLNK);
        archive_entry_set_symlink(member, entry.link_target.c_str());
        break;
      case EntryType::kRegular:
        archive_entry_set_filetype(member, AE_IFREG);
        archive_entry_set_size(member, static_cast<la_int64_t>(entry.size));
        break;
    }
    const bundle::Utf8Locale locale;
    require(archive_write_header(zip_.get(), member));
  }

  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const la_ssize_t taken = archive_write_data(zip_.get(), bytes.data(), bytes.size());
      if (taken <= 0 || thrown_) fail();
      bytes = bytes.subspan(static_cast<std::size_t>(taken));
    }
  }

  void end() override { require(archive_write_finish_entry(zip_.get())); }

  void finish() override {
    path_.clear();
    const bundle::Utf8Locale locale;
    require(archive_write_close(zip_.get()));
  }

 private:
  // A C callback: no exception may leave it, and libarchive does not hear of one.
  static la_ssize_t append(archive* /*handle*/, void* self, const void* data, size_t size) noexcept {
    auto& zip = *static_cast<ZipContainer*>(self);
    try {
      if (!zip.discards_) zip.sink_({static_cast<const std::byte*>(data), size});
    } catch (...) {
      zip.thrown_ = std::current_exception();
      zip.discards_ = true;
    }
    return static_cast<la_ssize_t>(size);
  }

  void require(int status) const {
    if (status != ARCHIVE_OK || thrown_) fail();
  }

  [[noreturn]] void fail() const {
    if (thrown_) std::rethrow_exception(thrown_);
    const char* const cause = archive_error_string(zip_.get());
    throw Error(ErrorKind::kInternal, "cannot write a zip" + (path_.empty() ? "" : " with '" + path_ + "'") + ": " +
                                          (cause == nullptr ? "libarchive failed" : cause));
  }

  const bundle::ByteSink sink_;
  const std::int64_t mtime_;
  std::string path_;           // of the member at hand, for messages
  std::exception_ptr thrown_;  // by the sink
  bool discards_ = false;      // what comes
  std::unique_ptr<archive, FreeArchive> zip_;
  std::unique_ptr<archive_entry, FreeEntry> member_;
};

}  // namespace

std::unique_ptr<Container> zip_container(bundle::ByteSink sink, int level, std::int64_t mtime) {
  return std::make_unique<ZipContainer>(std::move(sink), level, mtime);
}

}  // namespace holdall::packer
