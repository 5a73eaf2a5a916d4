#include "packer/output/foreign_archive.h"

#include <algorithm>

#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "bundle/limits.h"

namespace holdall::packer {
namespace {

using bundle::Entry;
using bundle::EntryType;
using bundle::Error;
using bundle::ErrorKind;

constexpr std::size_t kReadBytes = std::size_t{512} << 10;

bundle::ByteSource bytes_of(std::string_view text) {
  return [rest = bundle::as_byte_span(text)](std::span<std::byte> out) mutable {
    const std::size_t size = std::min(out.size(), rest.size());
    std::copy_n(rest.begin(), size, out.begin());
    rest = rest.subspan(size);
    return size;
  };
}

// The JSON of a TOC, made as it is read.
class TocText {
 public:
  explicit TocText(const bundle::EntryStore& entries)
      : rest_(entries), json_([this](std::string_view piece) { made_ += piece; }) {}

  std::size_t read(std::span<std::byte> out) {
    if (at_ == made_.size()) made_.clear(), at_ = 0;
    while (made_.empty() && !finished_) {
      const Entry* const entry = rest_.next();
      finished_ = entry == nullptr;
      if (finished_)
        json_.finish();
      else
        json_.add(*entry);
    }
    const std::size_t size = std::min(out.size(), made_.size() - at_);
    std::copy_n(bundle::as_byte_span(made_).begin() + static_cast<std::ptrdiff_t>(at_), size, out.begin());
    at_ += size;
    return size;
  }

 private:
  bundle::EntryStore::Cursor rest_;
  bundle::TocJson json_;
  std::string made_;
  std::size_t at_ = 0;  // of it
  bool finished_ = false;
};

}  // namespace

ForeignArchive::ForeignArchive(const bundle::BundleInfo& info, std::string root, std::unique_ptr<Container> container)
    : root_(std::move(root)),
      container_(std::move(container)),
      json_([this](std::string_view piece) { json_bytes_ += piece.size(); }),
      buffer_(kReadBytes) {
  const std::string json = to_json(info);
  bundle::parse_bundle_info(json);  // what a reader would refuse is not written
  Entry entry;
  entry.path = own_path("bundle.json");
  entry.size = json.size();
  add(std::move(entry), bytes_of(json));
}

std::string ForeignArchive::own_path(const char* name) const {
  return (root_.empty() ? "" : root_ + "/") + "holdall/" + name;
}

void ForeignArchive::add(Entry entry, const bundle::ByteSource& source) {
  entry.chunks.clear();
  entry.digest = {};
  if (entry.type != EntryType::kRegular) entry.size = 0;
  if (std::string fault = tree_.add(entry); !fault.empty())
    throw Error(ErrorKind::kCannotPack, "cannot pack '" + entry.path + "': it " + fault);
  if (entry.size > bundle::kMaxFileBytes)
    throw Error(ErrorKind::kCannotPack, "cannot pack '" + entry.path + "': it is too large");
  if (entry.type == EntryType::kRegular) {
    entry.digest = put(entry, source);
    ++summary_.files;
    summary_.bytes += entry.size;
  } else {
    container_->begin(entry);
    container_->end();
  }
  json_.add(entry);
  entries_.add(std::move(entry));
}

bundle::Digest ForeignArchive::put(const Entry& entry, const bundle::ByteSource& source) {
  const auto fail = [&](const std::string& cause) {
    return Error(ErrorKind::kInternal, "cannot pack '" + entry.path + "': " + cause);
  };
  if (!source && entry.size != 0) throw fail("no source of its bytes");
  container_->begin(entry);
  bundle::Sha256 hash;
  for (std::uint64_t unread = entry.size; unread > 0;) {
    const auto room = std::span(buffer_).first(static_cast<std::size_t>(std::min<std::uint64_t>(unread, kReadBytes)));
    const std::size_t got = source(room);
    if (got == 0) throw fail("it ended " + std::to_string(unread) + " bytes early: it changed while it was read");
    if (got > room.size()) throw fail("its source gave more than was asked for");
    hash.update(room.first(got));
    container_->write(room.first(got));
    unread -= got;
  }
  std::byte beyond;
  if (source && source({&beyond, 1}) != 0)
    throw fail("it has more than " + std::to_string(entry.size) + " bytes: it changed while it was read");
  container_->end();
  return hash.finish();
}

bundle::WriteSummary ForeignArchive::finish() {
  if (std::string fault = tree_.link_fault(); !fault.empty())
    throw Error(ErrorKind::kCannotPack, "cannot pack: " + fault);
  json_.finish();
  Entry entry;
  entry.path = own_path("toc.json");
  entry.size = json_bytes_;
  if (std::string fault = tree_.add(entry); !fault.empty())
    throw Error(ErrorKind::kCannotPack, "cannot pack '" + entry.path + "': it " + fault);
  TocText text(entries_);
  summary_.toc_digest = put(entry, [&](std::span<std::byte> out) { return text.read(out); });
  summary_.toc_size = summary_.toc_uncompressed_size = json_bytes_;
  container_->finish();
  return summary_;
}

}  // namespace holdall::packer
