#include "launcher/foreign/member_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>
#include <vector>

#include "bundle/error.h"
#include "bundle/utf8_locale.h"
#include "launcher/foreign/gunzip.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr std::size_t kBlock = std::size_t{256} << 10;
constexpr std::string_view kGzip = "\x1f\x8b";
constexpr std::size_t kTarMagic = 257;  // POSIX ustar: where a header says "ustar"

bool starts(std::span<const std::byte> head, std::string_view magic, std::size_t at = 0) {
  return head.size() >= at + magic.size() && std::memcmp(head.data() + at, magic.data(), magic.size()) == 0;
}

std::string normal(std::string_view path) {
  while (path.starts_with("./")) {
    path.remove_prefix(2);
    while (path.starts_with('/')) path.remove_prefix(1);
  }
  if (path == ".") return "";
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

struct FreeArchive {
  void operator()(archive* handle) const { archive_read_free(handle); }
};

}  // namespace

bool is_foreign_format(std::span<const std::byte> head) {
  using namespace std::string_view_literals;
  return starts(head, kGzip) || starts(head, "BZh") ||
         starts(head,
                "\xfd"
                "7zXZ\0"sv) ||
         starts(head, "\x28\xb5\x2f\xfd") || starts(head, "PK\3\4") || starts(head, "ustar", kTarMagic);
}

struct MemberStream::State {
  std::shared_ptr<const bundle::RandomAccess> bytes;
  std::function<void()> check;
  std::unique_ptr<Gunzip> gunzip;  // null: libarchive reads the file itself
  std::int64_t offset = 0;
  std::vector<std::byte> block;
  std::exception_ptr fault;  // of a callback: no exception may pass through libarchive
  bool attributes = false;
  const bundle::Utf8Locale locale{};
  std::unique_ptr<archive, FreeArchive> handle{archive_read_new()};

  [[noreturn]] void fail(const std::string& what) {
    if (fault) std::rethrow_exception(fault);
    const char* const why = archive_error_string(handle.get());
    throw Error(ErrorKind::kBadBundle, what + ": " + (why != nullptr ? why : "it is damaged"));
  }

  std::span<const std::byte> next_block() {
    check();
    if (gunzip) return gunzip->next();
    const auto left = static_cast<std::uint64_t>(static_cast<std::int64_t>(bytes->size()) - offset);
    block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, kBlock)));
    bytes->read_at(static_cast<std::uint64_t>(offset), block);
    offset += static_cast<std::int64_t>(block.size());
    return block;
  }

  static la_ssize_t read(archive* handle, void* data, const void** out) {
    auto& self = *static_cast<State*>(data);
    try {
      const std::span<const std::byte> got = self.next_block();
      *out = got.data();
      return static_cast<la_ssize_t>(got.size());
    } catch (...) {
      self.fault = std::current_exception();
      archive_set_error(handle, EIO, "cannot be read");
      return -1;
    }
  }

  static la_int64_t seek(archive* /*handle*/, void* data, la_int64_t offset, int whence) {
    auto& self = *static_cast<State*>(data);
    const auto size = static_cast<std::int64_t>(self.bytes->size());
    const std::int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? self.offset : size;
    if (offset < -base || offset > size - base) return ARCHIVE_FATAL;
    return self.offset = base + offset;
  }
};

MemberStream::MemberStream(std::shared_ptr<const bundle::RandomAccess> archive, std::function<void()> check)
    : state_(std::make_unique<State>()) {
  state_->bytes = std::move(archive);
  state_->check = std::move(check);
  std::array<std::byte, kGzip.size()> head{};
  if (state_->bytes->size() >= head.size()) state_->bytes->read_at(0, head);
  if (starts(head, kGzip)) state_->gunzip = std::make_unique<Gunzip>(state_->bytes);
  auto* const handle = state_->handle.get();
  int done = archive_read_support_format_tar(handle);
  if (!state_->gunzip) {
    // Each alone: libarchive runs a program for what it was built without.
    for (const auto support : {archive_read_support_filter_bzip2, archive_read_support_filter_xz,
                               archive_read_support_filter_zstd, archive_read_support_format_zip_seekable})
      if (support(handle) != ARCHIVE_OK) done = ARCHIVE_FATAL;
    archive_read_set_seek_callback(handle, State::seek);
  }
  archive_read_set_read_callback(handle, State::read);
  archive_read_set_callback_data(handle, state_.get());
  if (done != ARCHIVE_OK || archive_read_open1(handle) != ARCHIVE_OK)
    state_->fail("neither a bundle nor another archive that can be read");
}

MemberStream::MemberStream(MemberStream&&) noexcept = default;
MemberStream::~MemberStream() = default;

std::optional<Member> MemberStream::next() {
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(state_->handle.get(), &entry);
  if (result == ARCHIVE_EOF) return std::nullopt;
  if (result != ARCHIVE_OK && result != ARCHIVE_WARN) state_->fail("bad archive");
  const char* const path = archive_entry_pathname(entry);
  if (path == nullptr) throw Error(ErrorKind::kBadBundle, "bad archive: a name in it is not UTF-8");
  const auto refuse = [&](const char* why) {
    throw Error(ErrorKind::kBadBundle, "bad archive: '" + std::string(path) + "' " + why);
  };
  if (archive_entry_is_encrypted(entry) != 0) refuse("is encrypted");
  Member member;
  member.path = normal(path);
  member.mtime = archive_entry_mtime(entry);
  state_->attributes =
      state_->attributes || archive_entry_xattr_count(entry) != 0 || archive_entry_acl_types(entry) != 0;
  if (archive_entry_hardlink(entry) != nullptr) {
    member.type = MemberType::kHardLink;
    member.target = normal(archive_entry_hardlink(entry));
    if (archive_entry_size(entry) != 0) refuse("is a hard link with contents of its own");
    return member;
  }
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      if (archive_entry_size_is_set(entry) == 0 || archive_entry_size(entry) < 0) refuse("has no size");
      if ((archive_entry_perm(entry) & (S_ISUID | S_ISGID | S_ISVTX)) != 0) refuse("is setuid, setgid or sticky");
      member.size = static_cast<std::uint64_t>(archive_entry_size(entry));
      member.executable = (archive_entry_perm(entry) & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
      break;
    case AE_IFDIR:
      member.type = MemberType::kFolder;
      break;
    case AE_IFLNK:
      member.type = MemberType::kSymlink;
      if (archive_entry_symlink(entry) == nullptr) refuse("is a link whose target is not UTF-8");
      member.target = archive_entry_symlink(entry);
      break;
    default:
      refuse("is no file, folder or link");
  }
  return member;
}

std::size_t MemberStream::read(std::span<std::byte> out) {
  const la_ssize_t got = archive_read_data(state_->handle.get(), out.data(), out.size());
  // A warning here is a checksum that does not agree.
  if (got < 0) state_->fail("bad archive");
  return static_cast<std::size_t>(got);
}

bool MemberStream::has_attributes() const {
  return state_->attributes;
}

const char* MemberStream::format_name() const {
  return (archive_format(state_->handle.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP ? "zip" : "tar";
}

}  // namespace holdall::launcher
