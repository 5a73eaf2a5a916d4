// RFC 1952, one member: the deflate streams of all blocks joined, each ended at a byte's border by a sync flush and
// begun with the 32 KiB before it as its dictionary.
#include <zlib.h>

#include <array>
#include <cstring>
#include <limits>
#include <new>

#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "packer/output/block_pipeline.h"
#include "packer/output/byte_stream.h"

namespace holdall::packer {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{512} << 10;
constexpr std::size_t kWindow = std::size_t{32} << 10;  // RFC 1951: as far as deflate looks back
constexpr int kMemoryLevel = 8;                         // zlib's default

// No time, so that the bytes depend on nothing else; 3 = Unix.
constexpr std::array<unsigned char, 10> kHeader{0x1f, 0x8b, Z_DEFLATED, 0, 0, 0, 0, 0, 0, 3};
// A last block of deflate that is empty.
constexpr std::array<unsigned char, 2> kEnd{0x03, 0x00};

const Bytef* bytes_of(const std::vector<std::byte>& bytes) {
  return reinterpret_cast<const Bytef*>(bytes.data());
}

class Deflater final : public BlockCompressor {
 public:
  explicit Deflater(int level) {
    if (deflateInit2(&stream_, level, Z_DEFLATED, -MAX_WBITS, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() override { deflateEnd(&stream_); }

  void compress(Block& block) override {
    const auto size = static_cast<uInt>(block.content.size());
    block.checksum = static_cast<std::uint32_t>(crc32_z(0, bytes_of(block.content), size));
    // The bound is of a stream that ends; a flush adds an empty stored block.
    block.packed.resize(deflateBound(&stream_, size) + size / 8 + 1024);
    bool done = deflateReset(&stream_) == Z_OK;
    if (done && !block.before.empty()) {
      done = deflateSetDictionary(&stream_, bytes_of(block.before), static_cast<uInt>(block.before.size())) == Z_OK;
    }
    stream_.next_in = const_cast<Bytef*>(bytes_of(block.content));  // zlib does not change it
    stream_.avail_in = size;
    stream_.next_out = reinterpret_cast<Bytef*>(block.packed.data());
    stream_.avail_out = static_cast<uInt>(block.packed.size());
    done = done && deflate(&stream_, Z_SYNC_FLUSH) == Z_OK && stream_.avail_in == 0 && stream_.avail_out != 0;
    if (!done) throw bundle::Error(bundle::ErrorKind::kInternal, "cannot compress: zlib failed");
    block.packed.resize(block.packed.size() - stream_.avail_out);
  }

 private:
  z_stream stream_{};
};

class GzipStream final : public ByteStream {
 public:
  GzipStream(const StreamOptions& options, bundle::ByteSink sink)
      : sink_(std::move(sink)),
        pipeline_(
            {.block_bytes = kBlockBytes, .look_back = kWindow, .threads = options.threads},
            [level = options.level] { return std::make_unique<Deflater>(level); },
            [this](const Block& block) { take(block); }) {
    sink_(std::as_bytes(std::span(kHeader)));
  }

  void write(std::span<const std::byte> bytes) override { pipeline_.write(bytes); }

  void finish() override {
    pipeline_.finish();
    sink_(std::as_bytes(std::span(kEnd)));
    std::vector<std::byte> trailer;
    bundle::append_le(trailer, static_cast<std::uint32_t>(checksum_));
    bundle::append_le(trailer, static_cast<std::uint32_t>(size_));  // modulo 2^32: so it is defined
    sink_(trailer);
  }

 private:
  void take(const Block& block) {
    checksum_ = crc32_combine(checksum_, block.checksum, static_cast<z_off_t>(block.content.size()));
    size_ += block.content.size();
    sink_(block.packed);
  }

  const bundle::ByteSink sink_;
  uLong checksum_ = crc32(0, nullptr, 0);
  std::uint64_t size_ = 0;
  BlockPipeline pipeline_;  // last: it calls take()
};

}  // namespace

std::unique_ptr<ByteStream> gzip_stream(const StreamOptions& options, bundle::ByteSink sink) {
  return std::make_unique<GzipStream>(options, std::move(sink));
}

const char* zlib_library() {
  return zlibVersion();
}

}  // namespace holdall::packer
