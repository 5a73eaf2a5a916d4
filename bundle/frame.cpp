#include "bundle/frame.h"

#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_estimateCCtxSize_usingCCtxParams
#include <zstd.h>

#include <string>
#include <vector>

#include "bundle/error.h"
#include "bundle/limits.h"

namespace holdall::bundle {

struct FrameEncoder::Context {
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> zstd{ZSTD_createCCtx()};
};

namespace {

struct Setting {
  ZSTD_cParameter parameter;
  const char* name;
  int value;
};

// What is not left to the level.
std::vector<Setting> settings_of(int level) {
  // A window that covers the largest content makes every frame single-segment. zstd shrinks it to the content.
  std::vector<Setting> settings{{ZSTD_c_windowLog, "window", 22}};
  if (level == 3) {  // zstd's tables for this level are 768 KiB, more than a core's own cache; these are 512 KiB
    settings.push_back({ZSTD_c_chainLog, "chain", 16});
    settings.push_back({ZSTD_c_hashLog, "hash", 16});
  }
  if (level == 12 || level == 14 || level == 15) {  // with zstd's tables a thread would need more than it may
    settings.push_back({ZSTD_c_chainLog, "chain", 22});
    settings.push_back({ZSTD_c_hashLog, "hash", 22});
  }
  if (level >= 17) {  // zstd's tables for these levels are made for windows of 8 MiB and more
    settings.push_back({ZSTD_c_chainLog, "chain", 22});
    settings.push_back({ZSTD_c_hashLog, "hash", 21});
  }
  return settings;
}

}  // namespace

std::string frame_encoding(int level) {
  std::string text = std::string(ZSTD_versionString()) + " level " + std::to_string(level);
  for (const Setting& setting : settings_of(level))
    text += std::string(" ") + setting.name + " " + std::to_string(setting.value);
  return text;
}

std::size_t FrameEncoder::memory(int level) {
  const std::unique_ptr<ZSTD_CCtx_params, std::size_t (*)(ZSTD_CCtx_params*)> parameters(ZSTD_createCCtxParams(),
                                                                                         &ZSTD_freeCCtxParams);
  std::size_t bytes = parameters ? ZSTD_CCtxParams_setParameter(parameters.get(), ZSTD_c_compressionLevel, level) : 0;
  for (const Setting& setting : settings_of(level))
    if (parameters && !ZSTD_isError(bytes))
      bytes = ZSTD_CCtxParams_setParameter(parameters.get(), setting.parameter, setting.value);
  if (parameters && !ZSTD_isError(bytes)) bytes = ZSTD_estimateCCtxSize_usingCCtxParams(parameters.get());
  if (!parameters || ZSTD_isError(bytes)) throw Error(ErrorKind::kInternal, "cannot set up zstd: parameter refused");
  return bytes;
}

FrameEncoder::FrameEncoder(int level) : context_(std::make_unique<Context>()) {
  const auto set = [this](ZSTD_cParameter parameter, int value) {
    if (!context_->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(context_->zstd.get(), parameter, value))) {
      throw Error(ErrorKind::kInternal, "cannot set up zstd: parameter refused");
    }
  };
  set(ZSTD_c_compressionLevel, level);
  set(ZSTD_c_contentSizeFlag, 1);
  set(ZSTD_c_checksumFlag, 1);
  set(ZSTD_c_dictIDFlag, 0);
  for (const Setting& setting : settings_of(level)) set(setting.parameter, setting.value);
}
FrameEncoder::FrameEncoder(FrameEncoder&&) noexcept = default;
FrameEncoder& FrameEncoder::operator=(FrameEncoder&&) noexcept = default;
FrameEncoder::~FrameEncoder() = default;

std::size_t FrameEncoder::bound(std::size_t content_size) {
  return ZSTD_compressBound(content_size);
}

std::size_t FrameEncoder::encode(std::span<const std::byte> content, std::span<std::byte> frame) {
  const std::size_t size =
      ZSTD_compress2(context_->zstd.get(), frame.data(), frame.size(), content.data(), content.size());
  if (ZSTD_isError(size)) {
    throw Error(ErrorKind::kInternal, std::string("cannot compress: ") + ZSTD_getErrorName(size));
  }
  return size;
}

// RFC 8878, 3.1.1.1: magic, then a descriptor byte: content-size flag (2 bits), single segment, unused, reserved,
// checksum, dictionary flag (2 bits).
std::optional<std::size_t> frame_content_size(std::span<const std::byte> head) {
  constexpr std::uint8_t kMagic[4] = {0x28, 0xB5, 0x2F, 0xFD};
  constexpr unsigned kSingleSegment = 0x20, kUnusedOrReserved = 0x18, kChecksum = 0x04, kDictionary = 0x03;
  if (head.size() < 6) return std::nullopt;
  for (std::size_t i = 0; i < 4; ++i) {
    if (std::to_integer<std::uint8_t>(head[i]) != kMagic[i]) return std::nullopt;
  }
  const auto descriptor = std::to_integer<unsigned>(head[4]);
  if (!(descriptor & kSingleSegment) || !(descriptor & kChecksum) || (descriptor & (kUnusedOrReserved | kDictionary))) {
    return std::nullopt;
  }
  const unsigned long long size = ZSTD_getFrameContentSize(head.data(), head.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size == 0 || size > kMaxFrameContent) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(size);
}

struct FrameDecoder::Context {
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> zstd{ZSTD_createDCtx()};
};

FrameDecoder::FrameDecoder() : context_(std::make_unique<Context>()) {
  if (!context_->zstd) throw Error(ErrorKind::kInternal, "cannot set up zstd: out of memory");
}
FrameDecoder::FrameDecoder(FrameDecoder&&) noexcept = default;
FrameDecoder& FrameDecoder::operator=(FrameDecoder&&) noexcept = default;
FrameDecoder::~FrameDecoder() = default;

const char* FrameDecoder::decode(std::span<const std::byte> frame, std::span<std::byte> content) {
  const std::optional<std::size_t> claimed = frame_content_size(frame);
  if (!claimed) return "not a data frame of format 1";
  if (*claimed != content.size()) return "content size differs";
  // ZSTD_decompressDCtx would go on with a second frame behind the first.
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) return "frame size differs";
  const std::size_t size =
      ZSTD_decompressDCtx(context_->zstd.get(), content.data(), content.size(), frame.data(), frame.size());
  if (ZSTD_isError(size)) return ZSTD_getErrorName(size);
  return size == content.size() ? nullptr : "content is short";
}

}  // namespace holdall::bundle
