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

}  // namespace

ForeignArchive::ForeignArchive(const bundle::BundleInfo& info, std::string root, std::unique_ptr<Container> container)
    : root_(std::move(root)), container_(std::move(container)), buffer_(kReadBytes) {
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
  toc_.entries.push_back(std::move(entry));
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
  const std::string json = to_json(toc_);
  Entry entry;
  entry.path = own_path("toc.json");
  entry.size = json.size();
  if (std::string fault = tree_.add(entry); !fault.empty())
    throw Error(ErrorKind::kCannotPack, "cannot pack '" + entry.path + "': it " + fault);
  summary_.toc_digest = put(entry, bytes_of(json));
  summary_.toc_size = summary_.toc_uncompressed_size = json.size();
  container_->finish();
  return summary_;
}

}  // namespace holdall::packer
