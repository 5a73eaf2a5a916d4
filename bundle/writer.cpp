#include "bundle/writer.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "bundle/byte_order.h"
#include "bundle/chunker.h"
#include "bundle/error.h"
#include "bundle/frame_pipeline.h"
#include "bundle/limits.h"
#include "bundle/pack_toc.h"
#include "bundle/seek_table.h"
#include "bundle/tar_header.h"
#include "bundle/toc_json.h"
#include "bundle/toc_rules.h"

namespace holdall::bundle {

namespace {

// Members without contents share a glue frame up to this size.
constexpr std::size_t kMaxGlue = 64 * 1024;

// How much of a file is read at a time: it is cut while it is still in the cache.
constexpr std::size_t kReadBytes = 512 * 1024;

}  // namespace

struct Writer::State {
  State(const WriterOptions& writer_options, ByteSink sink)
      : options(writer_options), pipeline(writer_options, std::move(sink)) {}

  Entry& add_member(Entry&& given);
  void add(Entry&& given, const ByteSource& source);
  void add_known(Entry&& given, std::span<const KnownChunk> chunks);
  void add_payload(Entry& entry, const ByteSource& source);
  void flush_glue();
  void settle();
  void keep_written();
  WriteSummary finish();

  WriterOptions options;
  TreeRules tree;
  // An entry whose chunks are on their way.
  struct Pending {
    Entry entry;
    std::uint64_t chunks = kUnknown;  // that the pipeline has had when it got the last one of this entry
  };
  static constexpr std::uint64_t kUnknown = ~std::uint64_t{0};
  std::deque<Pending> pending;  // stable addresses: the pipeline fills in digests and chunks
  EntryStore entries;           // those that are written
  std::uint64_t json_bytes = 0;
  TocJson json{[this](std::string_view piece) { json_bytes += piece.size(); }};  // for its size, which comes first
  std::vector<std::byte> glue;
  WriteSummary summary;
  FramePipeline pipeline;  // last: its threads, which use the entries, end first
};

// Its header is the end of the glue.
Entry& Writer::State::add_member(Entry&& given) {
  keep_written();
  Entry& entry = pending.emplace_back(Pending{std::move(given)}).entry;
  entry.chunks.clear();
  if (entry.type != EntryType::kRegular) entry.size = 0;
  if (std::string fault = tree.add(entry); !fault.empty()) {
    throw Error(ErrorKind::kCannotPack, "cannot pack '" + entry.path + "': it " + fault);
  }
  if (entry.size > kMaxFileBytes)
    throw Error(ErrorKind::kCannotPack, "cannot pack '" + entry.path + "': it is too large");
  const auto header = make_tar_header(entry, options.mtime);
  const auto bytes = as_byte_span(header);
  glue.insert(glue.end(), bytes.begin(), bytes.end());
  if (entry.type == EntryType::kRegular) {
    ++summary.files;
    summary.bytes += entry.size;
  }
  const bool payload_follows = entry.type == EntryType::kRegular && entry.size != 0;
  if (payload_follows || glue.size() >= kMaxGlue) flush_glue();
  return entry;
}

void Writer::State::add(Entry&& given, const ByteSource& source) {
  Entry& entry = add_member(std::move(given));
  entry.digest = {};
  if (entry.type == EntryType::kRegular) {
    if (entry.size == 0) entry.digest = sha256({});
    add_payload(entry, source);
    glue.resize(glue.size() + tar_padding(entry.size));
  }
  pending.back().chunks = pipeline.chunks_pushed();
}

void Writer::State::settle() {
  pipeline.settle();
  keep_written();
}

void Writer::State::keep_written() {
  const std::uint64_t written = pipeline.chunks_written();
  for (; !pending.empty() && pending.front().chunks <= written; pending.pop_front()) {
    json.add(pending.front().entry);
    entries.add(std::move(pending.front().entry));
  }
}

void Writer::State::add_known(Entry&& given, std::span<const KnownChunk> chunks) {
  Entry& entry = add_member(std::move(given));
  std::uint64_t offset = 0;
  for (const KnownChunk& chunk : chunks) {
    if (chunk.size == 0 || chunk.size > kMaxFrameContent || chunk.size > entry.size - offset) break;
    pipeline.push_known(entry, offset, chunk);
    offset += chunk.size;
  }
  if (chunks.empty() || offset != entry.size || entry.type != EntryType::kRegular)
    throw Error(ErrorKind::kInternal, "cannot pack '" + entry.path + "': its known chunks do not make up the file");
  glue.resize(glue.size() + tar_padding(entry.size));
  pending.back().chunks = pipeline.chunks_pushed();
}

void Writer::State::add_payload(Entry& entry, const ByteSource& source) {
  const auto fail = [&](const std::string& cause) {
    return Error(ErrorKind::kInternal, "cannot pack '" + entry.path + "': " + cause);
  };
  if (!source) {
    if (entry.size != 0) throw fail("no source of its bytes");
    return;
  }
  Chunker chunker;
  std::uint64_t unread = entry.size;
  while (unread > 0) {
    const std::span<std::byte> room =
        pipeline.room(static_cast<std::size_t>(std::min<std::uint64_t>(unread, kReadBytes)));
    const std::size_t got = source(room);
    if (got == 0) throw fail("it ended " + std::to_string(unread) + " bytes early: it changed while it was read");
    if (got > room.size()) throw fail("its source gave more than was asked for");
    pipeline.fill(got);
    unread -= got;
    while (!pipeline.pending().empty()) {
      const std::optional<std::size_t> size = chunker.cut(pipeline.pending(), unread == 0);
      if (!size) break;
      pipeline.push_chunk(entry, *size);
    }
  }
  std::byte beyond;
  if (source({&beyond, 1}) != 0)
    throw fail("it has more than " + std::to_string(entry.size) + " bytes: it changed while it was read");
}

void Writer::State::flush_glue() {
  if (!glue.empty()) pipeline.push_glue(std::exchange(glue, {}));
}

WriteSummary Writer::State::finish() {
  if (std::string fault = tree.link_fault(); !fault.empty())
    throw Error(ErrorKind::kCannotPack, "cannot pack: " + fault);
  tree = {};                                 // of a million files, 40 MB
  glue.resize(glue.size() + 2 * kTarBlock);  // the end of a tar
  flush_glue();
  pipeline.drain();
  keep_written();
  json.finish();
  if (json_bytes > kMaxTocBytes)
    throw Error(ErrorKind::kCannotPack, "cannot pack: too many files for one table of contents");

  PackedToc toc = pack_toc(entries, json_bytes, std::max(options.level, 3));
  std::vector<SeekEntry> table = pipeline.take_seek_entries();
  const Footer footer{pipeline.bytes_written() + kSkippableHeader, toc.size, json_bytes, 0};
  std::vector<std::byte> tail;
  append_skippable_header(tail, kSkippableMagic, static_cast<std::uint32_t>(toc.size));
  table.push_back({static_cast<std::uint32_t>(tail.size() + toc.size), 0, kEmptyChecksum});
  pipeline.write_directly(std::exchange(tail, {}));
  for (std::vector<std::byte>& piece : toc.frame) pipeline.write_directly(std::exchange(piece, {}));
  append_footer(tail, footer);
  table.push_back({kFooterFrame, 0, kEmptyChecksum});
  pipeline.write_directly(tail);
  write_seek_table(table, [this](std::span<const std::byte> piece) { pipeline.write_directly(piece); });

  summary.archive_bytes = pipeline.bytes_written();
  summary.archive_digest = pipeline.finish_digest();
  summary.copied = pipeline.copied();
  summary.toc_offset = footer.toc_offset;
  summary.toc_size = footer.toc_size;
  summary.toc_uncompressed_size = footer.toc_uncompressed_size;
  summary.toc_digest = toc.digest;
  summary.frames = table.size();
  return summary;
}

Writer::Writer(const BundleInfo& info, const WriterOptions& options, ByteSink sink) {
  const std::string json = to_json(info);
  parse_bundle_info(json);  // what a reader would refuse is not written
  state_ = std::make_unique<State>(options, std::move(sink));
  Entry entry;
  entry.path = (options.root.empty() ? "" : options.root + '/') + "holdall/bundle.json";
  entry.size = json.size();
  state_->add(std::move(entry), [rest = as_byte_span(json)](std::span<std::byte> out) mutable {
    const std::size_t size = std::min(out.size(), rest.size());
    std::copy_n(rest.begin(), size, out.begin());
    rest = rest.subspan(size);
    return size;
  });
}

Writer::~Writer() = default;

void Writer::add(Entry entry, const ByteSource& source) {
  state_->add(std::move(entry), source);
}

void Writer::add_known(Entry entry, std::span<const KnownChunk> chunks) {
  state_->add_known(std::move(entry), chunks);
}

void Writer::settle() {
  state_->settle();
}

WriteSummary Writer::finish() {
  return state_->finish();
}

std::span<const Digest> Writer::frame_digests() const {
  return state_->pipeline.frame_digests();
}

const EntryStore& Writer::entries() const {
  return state_->entries;
}

}  // namespace holdall::bundle
