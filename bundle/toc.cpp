#include "bundle/toc.h"

#include <algorithm>

#include "bundle/error.h"
#include "bundle/json_checks.h"
#include "bundle/limits.h"
#include "bundle/relocation_json.h"
#include "bundle/toc_json.h"
#include "bundle/toc_rules.h"

namespace holdall::bundle {

using nlohmann::json;

namespace {

constexpr int kTocVersion = 1;
constexpr std::size_t kPiece = std::size_t{256} << 10;  // of its JSON that is made at a time

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::string unhex(const JsonView& view) {
  const std::string text = view.string();
  const auto nibble = [&](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    view.fail("expected lower-case hex digits");
  };
  if (text.size() % 2 != 0) view.fail("expected an even number of hex digits");
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2)
    bytes += static_cast<char>(nibble(text[i]) << 4 | nibble(text[i + 1]));
  return bytes;
}

json holdall_fields(const Entry& entry) {
  json own = json::object();
  if (!entry.relocations.empty()) own["relocations"] = json_of(entry.relocations);
  if (entry.elf) {
    json patches = json::array();
    for (const ElfPatch& patch : entry.elf->patches) {
      patches.push_back(json::array({patch.offset, hex(patch.old_bytes), hex(patch.new_bytes)}));
    }
    own["elf"] = {{"patches", std::move(patches)},
                  {"original_size", entry.elf->original_size},
                  {"original_digest", to_string(entry.elf->original_digest)}};
  }
  if (entry.vendor) own["vendor"] = true;
  if (!entry.kernels.empty()) own["kernels"] = {{"cubin", entry.kernels.cubin}, {"ptx", entry.kernels.ptx}};
  if (!entry.layer.empty()) own["layer"] = entry.layer;
  return own;
}

void put_chunk(json& object, const Chunk& chunk) {
  object["offset"] = chunk.frame_offset;
  object["chunkSize"] = chunk.size;
  object["chunkDigest"] = to_string(chunk.digest);
  if (chunk.offset != 0) object["chunkOffset"] = chunk.offset;
  if (chunk.zeros) object["chunkType"] = "zeros";
}

}  // namespace

TocJson::TocJson(Sink sink) : sink_(std::move(sink)) {
  piece_ = "{\"version\":" + std::to_string(kTocVersion) + ",\"entries\":[";
}

void TocJson::append(std::string_view line) {
  piece_ += first_ ? "\n" : ",\n";
  first_ = false;
  piece_ += line;
  if (piece_.size() >= kPiece) flush();
}

void TocJson::flush() {
  sink_(piece_);
  piece_.clear();
}

void TocJson::add(const Entry& entry) {
  json object = {{"name", entry.path}, {"mode", 0755}};
  switch (entry.type) {
    case EntryType::kDirectory:
      object["type"] = "dir";
      break;
    case EntryType::kSymlink:
      object["type"] = "symlink";
      object["linkName"] = entry.link_target;
      break;
    case EntryType::kRegular:
      object["type"] = "reg";
      object["mode"] = entry.executable ? 0755 : 0644;
      object["size"] = entry.size;
      object["digest"] = to_string(entry.digest);
      if (!entry.chunks.empty()) {
        put_chunk(object, entry.chunks.front());
        object["endOffset"] = entry.chunks.back().frame_offset + entry.chunks.back().frame_size;
      }
      break;
  }
  if (json own = holdall_fields(entry); !own.empty()) object["holdall"] = std::move(own);
  append(object.dump());
  for (std::size_t i = 1; i < entry.chunks.size(); ++i) {
    json chunk = {{"type", "chunk"}, {"name", entry.path}};
    put_chunk(chunk, entry.chunks[i]);
    append(chunk.dump());
  }
}

void TocJson::finish() {
  piece_ += "\n]}\n";
  flush();
}

std::string to_json(const Toc& toc) {
  std::string out;
  TocJson pieces([&](std::string_view piece) { out += piece; });
  for (const Entry& entry : toc.entries) pieces.add(entry);
  pieces.finish();
  return out;
}

namespace {

// Takes the elements of `entries` one by one, as the parser meets them, so that the JSON never stands in memory whole.
class TocBuilder {
 public:
  void add(const json& element) {
    const JsonView view(element, "bad TOC", "/entries/" + std::to_string(count_));
    if (++count_ > kMaxEntries) view.fail("more than " + std::to_string(kMaxEntries) + " entries");
    const std::string type = view.object().at("type").string();
    if (type == "chunk") {
      add_chunk(view);
      return;
    }
    close_file();
    Entry entry;
    entry.path = view.at("name").string();
    end_ = 0;
    check_keys(view, type);
    if (type == "dir") {
      entry.type = EntryType::kDirectory;
      mode(view, false);
    } else if (type == "symlink") {
      entry.type = EntryType::kSymlink;
      entry.link_target = view.at("linkName").string();
      mode(view, false);
    } else if (type == "reg") {
      add_file(view, entry);
    } else {
      view.fail("type '" + type.substr(0, 20) + "' is none of dir, reg, symlink, chunk");
    }
    if (view.has("holdall")) holdall(view.at("holdall").object(), entry);
    if (std::string fault = tree_.add(entry); !fault.empty()) view.fail("'" + entry.path + "' " + fault);
    toc_.entries.push_back(std::move(entry));
    open_ = true;
  }

  Toc finish() {
    close_file();
    if (toc_.entries.empty()) throw Error(ErrorKind::kBadBundle, "bad TOC: no entries");
    if (std::string fault = tree_.link_fault(); !fault.empty()) throw Error(ErrorKind::kBadBundle, "bad TOC: " + fault);
    return std::move(toc_);
  }

 private:
  // Unknown fields are refused: another reader of the same bytes could understand them (xattrs, devMajor, …).
  static void check_keys(const JsonView& view, const std::string& type) {
    static constexpr std::string_view kCommon[] = {"type", "name", "mode", "holdall"};
    static constexpr std::string_view kFile[] = {"size",      "digest",      "offset",      "endOffset",
                                                 "chunkSize", "chunkOffset", "chunkDigest", "chunkType"};
    for (const auto& item : view.raw().items()) {
      const auto is = [&](std::string_view key) { return item.key() == key; };
      const bool known = std::ranges::any_of(kCommon, is) || (type == "reg" && std::ranges::any_of(kFile, is)) ||
                         (type == "symlink" && is("linkName"));
      if (!known) view.fail("unexpected field '" + item.key().substr(0, 40) + "' of a " + type);
    }
  }

  // Returns whether it is executable.
  static bool mode(const JsonView& view, bool may_be_plain) {
    const std::uint64_t value = view.at("mode").number();
    if (value == 0755) return true;
    if (value == 0644 && may_be_plain) return false;
    view.fail("mode is neither 0755 nor, for a file, 0644");
  }

  static Digest digest(const JsonView& view) {
    try {
      return parse_digest(view.string());
    } catch (const Error& error) {
      view.fail(error.what());
    }
  }

  void add_file(const JsonView& view, Entry& entry) {
    entry.executable = mode(view, true);
    entry.size = view.at("size").number(kMaxFileBytes);
    entry.digest = digest(view.at("digest"));
    if ((total_ += entry.size) > kMaxTotalBytes)
      view.fail("more than " + std::to_string(kMaxTotalBytes) + " bytes in all");
    if (entry.size == 0) {
      for (const char* key : {"offset", "endOffset", "chunkSize", "chunkOffset", "chunkDigest", "chunkType"}) {
        if (view.has(key)) view.fail("an empty file has '" + std::string(key) + "'");
      }
      return;
    }
    end_ = view.at("endOffset").number(INT64_MAX);
    entry.chunks.push_back(chunk(view, 0, entry.size));
    if (entry.chunks[0].frame_offset <= archive_end_) view.fail("its first frame overlaps what comes before it");
  }

  void add_chunk(const JsonView& view) {
    static constexpr std::string_view kKeys[] = {"type",        "name",        "offset",   "chunkSize",
                                                 "chunkOffset", "chunkDigest", "chunkType"};
    for (const auto& item : view.raw().items()) {
      if (std::ranges::none_of(kKeys, [&](std::string_view key) { return item.key() == key; })) {
        view.fail("unexpected field '" + item.key().substr(0, 40) + "' of a chunk");
      }
    }
    if (!open_ || toc_.entries.back().chunks.empty() || view.at("name").string() != toc_.entries.back().path) {
      view.fail("a chunk does not follow its file");
    }
    Entry& entry = toc_.entries.back();
    Chunk& last = entry.chunks.back();
    Chunk next = chunk(view, last.offset + last.size, entry.size);
    if (next.frame_offset <= last.frame_offset) view.fail("its frame overlaps the one before it");
    last.frame_size = next.frame_offset - last.frame_offset;
    entry.chunks.push_back(next);
  }

  static Chunk chunk(const JsonView& view, std::uint64_t expected_offset, std::uint64_t file_size) {
    Chunk chunk;
    chunk.frame_offset = view.at("offset").number(INT64_MAX);
    chunk.offset = view.has("chunkOffset") ? view.at("chunkOffset").number() : 0;
    if (chunk.offset != expected_offset) {
      view.fail("chunkOffset is " + std::to_string(chunk.offset) + ", expected " + std::to_string(expected_offset));
    }
    chunk.size = view.at("chunkSize").number(kMaxFrameContent);
    if (chunk.size == 0 || chunk.size > file_size - chunk.offset) view.fail("chunkSize does not fit its file");
    chunk.digest = digest(view.at("chunkDigest"));
    if (view.has("chunkType")) {
      if (view.at("chunkType").string() != "zeros") view.fail("chunkType is not 'zeros'");
      chunk.zeros = true;
    }
    return chunk;
  }

  // Everything of the file that was open is known now: its last frame ends at endOffset, its chunks sum up to its size.
  void close_file() {
    if (!open_ || toc_.entries.back().chunks.empty()) return;
    Entry& entry = toc_.entries.back();
    Chunk& last = entry.chunks.back();
    const auto fail = [&](const char* reason) {
      throw Error(ErrorKind::kBadBundle, "bad TOC: '" + entry.path + "': " + reason);
    };
    if (end_ <= last.frame_offset) fail("endOffset lies before its last frame");
    if (last.offset + last.size != entry.size) fail("its chunks do not sum up to its size");
    if (entry.chunks.size() == 1 && last.digest != entry.digest)
      fail("digest and chunkDigest of its only chunk differ");
    last.frame_size = end_ - last.frame_offset;
    archive_end_ = end_;
  }

  static void holdall(const JsonView& own, Entry& entry) {
    if (own.has("vendor")) entry.vendor = own.at("vendor").boolean();
    if (own.has("layer")) entry.layer = own.at("layer").string();
    if (own.has("relocations")) entry.relocations = relocations_of(own.at("relocations"), entry.size);
    if (own.has("elf")) elf(own.at("elf").object(), entry);
    if (own.has("kernels")) {
      const JsonView kernels = own.at("kernels").object();
      entry.kernels = {kernels.at("cubin").strings(), kernels.at("ptx").strings()};
    }
    if (entry.type != EntryType::kRegular && (entry.elf || !entry.relocations.empty() || !entry.kernels.empty())) {
      own.fail("only a file has relocations, elf or kernels");
    }
  }

  static void elf(const JsonView& view, Entry& entry) {
    ElfRecord record;
    record.original_size = view.at("original_size").number(entry.size);
    record.original_digest = digest(view.at("original_digest"));
    const JsonView patches = view.at("patches");
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < patches.size(); ++i) {
      const JsonView item = patches.at(i);
      if (item.size() != 3) item.fail("expected [offset, old bytes, new bytes]");
      ElfPatch patch{item.at(0).number(kMaxFileBytes), unhex(item.at(1)), unhex(item.at(2))};
      if (patch.old_bytes.size() != patch.new_bytes.size()) item.fail("old and new bytes differ in length");
      if (patch.offset < end) item.fail("offsets are not ascending");
      if (patch.offset > record.original_size || patch.new_bytes.size() > record.original_size - patch.offset) {
        item.fail("lies outside the original file");
      }
      end = patch.offset + patch.new_bytes.size();
      record.patches.push_back(std::move(patch));
    }
    entry.elf = std::move(record);
  }

  Toc toc_;
  TreeRules tree_;
  bool open_ = false;              // toc_.entries has a last entry that may still get chunks
  std::uint64_t count_ = 0;        // elements of `entries` seen
  std::uint64_t end_ = 0;          // endOffset of the open file
  std::uint64_t archive_end_ = 0;  // endOffset of the last closed file
  std::uint64_t total_ = 0;        // bytes of all files
};

}  // namespace

Toc parse_toc(std::string_view text) {
  if (text.size() > kMaxTocBytes)
    throw Error(ErrorKind::kBadBundle, "bad TOC: larger than " + std::to_string(kMaxTocBytes) + " bytes");
  JsonGuard guard("bad TOC", {.max_depth = 8, .max_keys = 64});
  TocBuilder builder;
  std::string top_key;
  bool has_entries = false;
  // Depths: 0 the document, 1 its values, 2 the elements of `entries`.
  const auto on_event = [&](int depth, json::parse_event_t event, json& parsed) {
    using Event = json::parse_event_t;
    guard(depth, event, parsed);
    if (event == Event::key && depth == 1) top_key = parsed.get_ref<const std::string&>();
    const bool in_entries = top_key == "entries";
    if (in_entries && depth == 1 && event == Event::array_start) has_entries = true;
    if (!in_entries || depth != 2) return true;
    if (event == Event::object_end) {
      builder.add(parsed);
      guard.forget_values();
      return false;  // taken: it need not stay in memory
    }
    if (event == Event::value || event == Event::array_start) {
      throw Error(ErrorKind::kBadBundle, "bad TOC: /entries: expected objects");
    }
    return true;
  };
  json document;
  try {
    document = json::parse(text, on_event);
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kBadBundle, std::string("bad TOC: ") + error.what());
  }
  const JsonView view(document, "bad TOC");
  if (view.object().at("version").number() != kTocVersion) view.at("version").fail("is not 1");
  if (!has_entries) view.fail("'entries' is missing or no array");
  if (document.size() != 2) view.fail("expected 'version' and 'entries' only");
  return builder.finish();
}

}  // namespace holdall::bundle
