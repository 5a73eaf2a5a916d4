#include "bundle/pack_toc.h"

#include <zstd.h>

#include <algorithm>
#include <memory>

#include "bundle/error.h"
#include "bundle/limits.h"
#include "bundle/toc_json.h"

namespace holdall::bundle {

namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

class Compressor {
 public:
  // The frame's header says how many bytes will come: readers want to know before they make room.
  Compressor(int level, std::uint64_t bytes) : context_(ZSTD_createCCtx()), buffer_(ZSTD_CStreamOutSize()) {
    if (!context_) throw Error(ErrorKind::kInternal, "cannot set up zstd: out of memory");
    check(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level));
    check(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1));
    check(ZSTD_CCtx_setPledgedSrcSize(context_.get(), bytes));
  }

  void add(std::string_view piece) { run(piece, ZSTD_e_continue); }
  std::vector<std::byte> finish() {
    run({}, ZSTD_e_end);
    return std::move(frame_);
  }

 private:
  static std::size_t check(std::size_t result) {
    if (ZSTD_isError(result))
      throw Error(ErrorKind::kInternal, std::string("cannot compress the TOC: ") + ZSTD_getErrorName(result));
    return result;
  }

  void run(std::string_view piece, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    for (;;) {
      ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
      const std::size_t left = check(ZSTD_compressStream2(context_.get(), &out, &in, directive));
      frame_.insert(frame_.end(), buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(out.pos));
      if (directive == ZSTD_e_end ? left == 0 : in.pos == in.size) return;
    }
  }

  std::unique_ptr<ZSTD_CCtx, FreeContext> context_;
  std::vector<std::byte> buffer_, frame_;
};

void write_json(const std::function<void(const EntryVisitor&)>& for_each_entry, TocJson::Sink sink) {
  TocJson json(std::move(sink));
  for_each_entry([&](const Entry& entry) { json.add(entry); });
  json.finish();
}

}  // namespace

PackedToc pack_toc(const std::function<void(const EntryVisitor&)>& for_each_entry, int level) {
  PackedToc packed;
  write_json(for_each_entry, [&](std::string_view piece) { packed.json_bytes += piece.size(); });
  if (packed.json_bytes > kMaxTocBytes)
    throw Error(ErrorKind::kCannotPack, "cannot pack: too many files for one table of contents");
  Compressor compressor(level, packed.json_bytes);
  write_json(for_each_entry, [&](std::string_view piece) { compressor.add(piece); });
  packed.frame = compressor.finish();
  return packed;
}

Toc unpack_toc(std::span<const std::byte> frame) {
  const unsigned long long claimed = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (claimed > kMaxTocBytes) throw Error(ErrorKind::kBadBundle, "bad TOC: its size is missing or too large");
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size())
    throw Error(ErrorKind::kBadBundle, "bad TOC: it is not one frame");
  std::string json(static_cast<std::size_t>(claimed), '\0');
  const std::size_t size = ZSTD_decompress(json.data(), json.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) || size != json.size()) throw Error(ErrorKind::kBadBundle, "bad TOC: it does not decompress");
  return parse_toc(json);
}

}  // namespace holdall::bundle
