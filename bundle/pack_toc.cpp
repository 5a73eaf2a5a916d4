#include "bundle/pack_toc.h"

#include <zstd.h>

#include <memory>
#include <span>

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
  PackedToc finish() {
    run({}, ZSTD_e_end);
    packed_.digest = hash_.finish();
    return std::move(packed_);
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
      const auto made = std::span(buffer_).first(out.pos);
      if (!made.empty()) packed_.frame.emplace_back(made.begin(), made.end());
      packed_.size += made.size();
      hash_.update(made);
      if (directive == ZSTD_e_end ? left == 0 : in.pos == in.size) return;
    }
  }

  std::unique_ptr<ZSTD_CCtx, FreeContext> context_;
  std::vector<std::byte> buffer_;
  PackedToc packed_;
  Sha256 hash_;
};

}  // namespace

PackedToc pack_toc(const EntryStore& entries, std::uint64_t json_bytes, int level) {
  Compressor compressor(level, json_bytes);
  TocJson json([&](std::string_view piece) { compressor.add(piece); });
  entries.for_each([&](const Entry& entry) { json.add(entry); });
  json.finish();
  return compressor.finish();
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
