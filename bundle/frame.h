// One data frame of format 1: zstd, single segment, content size present, checksum on, no dictionary, at most 4 MiB
// of content; so any decoder accepts it and its memory is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace holdall::bundle {

// Compresses frame after frame with one context; one per thread. The same content gives the same bytes whatever was
// compressed before. Contexts stay under 32 MiB at every level.
class FrameEncoder {
 public:
  explicit FrameEncoder(int level);
  FrameEncoder(FrameEncoder&&) noexcept;
  FrameEncoder& operator=(FrameEncoder&&) noexcept;
  ~FrameEncoder();

  // `content`: 1 byte to 4 MiB; `frame` has room for bound(content.size()). Returns the frame's size.
  std::size_t encode(std::span<const std::byte> content, std::span<std::byte> frame);
  static std::size_t bound(std::size_t content_size);
  static std::size_t memory(int level);  // what an encoder allocates, at most; bytes

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Names all that decides which bytes a content is compressed into: libzstd's version, level and what is set beside it.
// It stands in bundle.json, under this key of `build`.
std::string frame_encoding(int level);
inline constexpr const char* kFrameEncodingKey = "zstd";

// The bytes of content that a frame claims, if `head` (the frame or its first 18 bytes) starts a frame of format 1.
std::optional<std::size_t> frame_content_size(std::span<const std::byte> head);

// At the end of a frame: xxh64_low32 of its content, which the seek table wants, too (RFC 8878, 3.1.1).
inline constexpr std::size_t kFrameChecksumBytes = 4;

class FrameDecoder {
 public:
  FrameDecoder();
  FrameDecoder(FrameDecoder&&) noexcept;
  FrameDecoder& operator=(FrameDecoder&&) noexcept;
  ~FrameDecoder();

  // `frame` must be exactly one data frame whose content is exactly content.size() bytes. Returns what is wrong with
  // it, or nullptr. `content` is then undefined.
  const char* decode(std::span<const std::byte> frame, std::span<std::byte> content);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace holdall::bundle
