#include <lzma.h>

#include <algorithm>
#include <array>

#include "bundle/error.h"
#include "packer/output/byte_stream.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr int kFirstExtreme = 7;  // xz's own 7 to 9 differ from 6 in nothing but larger dictionaries
constexpr std::uint32_t kLargestDictionary = std::uint32_t{4} << 20;
constexpr std::uint64_t kSmallestBlock = std::uint64_t{1} << 20;

// What packing may take in all, less what the rest of it needs.
constexpr std::uint64_t kMemoryPerThread = std::uint64_t{64} << 20, kMemoryOnTop = std::uint64_t{192} << 20;

constexpr std::uint32_t kCheckMilliseconds = 200;

[[noreturn]] void fail(lzma_ret status) {
  throw Error(ErrorKind::kInternal, status == LZMA_MEM_ERROR
                                        ? "cannot compress: out of memory"
                                        : "cannot compress: liblzma failed (" + std::to_string(status) + ")");
}

class XzStream final : public ByteStream {
 public:
  XzStream(const StreamOptions& options, bundle::ByteSink sink) : check_(options.check), sink_(std::move(sink)) {
    const auto preset = options.level < kFirstExtreme ? static_cast<std::uint32_t>(options.level)
                                                      : LZMA_PRESET_DEFAULT | LZMA_PRESET_EXTREME;
    lzma_options_lzma lzma{};
    if (lzma_lzma_preset(&lzma, preset)) fail(LZMA_OPTIONS_ERROR);
    lzma.dict_size = std::min(lzma.dict_size, kLargestDictionary);
    std::array<lzma_filter, 2> filters{{{LZMA_FILTER_LZMA2, &lzma}, {LZMA_VLI_UNKNOWN, nullptr}}};
    lzma_mt threading{};
    threading.threads = options.threads;
    threading.block_size = std::max<std::uint64_t>(std::uint64_t{2} * lzma.dict_size, kSmallestBlock);
    threading.timeout = kCheckMilliseconds;
    threading.filters = filters.data();
    threading.check = LZMA_CHECK_CRC64;
    // The blocks, and so the bytes, do not depend on how many threads there are.
    const std::uint64_t allowed = kMemoryPerThread * options.threads + kMemoryOnTop;
    while (threading.threads > 1 && lzma_stream_encoder_mt_memusage(&threading) > allowed) --threading.threads;
    if (const lzma_ret status = lzma_stream_encoder_mt(&stream_, &threading); status != LZMA_OK) fail(status);
    make_room();
  }
  XzStream(const XzStream&) = delete;
  XzStream& operator=(const XzStream&) = delete;
  ~XzStream() override { lzma_end(&stream_); }

  void write(std::span<const std::byte> bytes) override {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
    stream_.avail_in = bytes.size();
    while (stream_.avail_in > 0) {
      if (const lzma_ret status = lzma_code(&stream_, LZMA_RUN); status != LZMA_OK) fail(status);
      hand_on();
    }
  }

  void finish() override {
    for (;;) {
      const lzma_ret status = lzma_code(&stream_, LZMA_FINISH);
      if (status != LZMA_OK && status != LZMA_STREAM_END) fail(status);
      hand_on();
      if (status == LZMA_STREAM_END) return;
    }
  }

 private:
  void make_room() {
    stream_.next_out = reinterpret_cast<std::uint8_t*>(buffer_.data());
    stream_.avail_out = buffer_.size();
  }

  void hand_on() {
    if (check_) check_();
    if (stream_.avail_out == buffer_.size()) return;
    sink_(std::span(buffer_).first(buffer_.size() - stream_.avail_out));
    make_room();
  }

  const std::function<void()> check_;
  const bundle::ByteSink sink_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(std::size_t{256} << 10);
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

}  // namespace

std::unique_ptr<ByteStream> xz_stream(const StreamOptions& options, bundle::ByteSink sink) {
  return std::make_unique<XzStream>(options, std::move(sink));
}

const char* xz_library() {
  return lzma_version_string();
}

}  // namespace holdall::packer
