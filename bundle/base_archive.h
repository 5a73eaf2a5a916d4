// An older archive whose frames may serve again: what it holds need not be compressed a second time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/digest.h"
#include "bundle/frame.h"
#include "bundle/reader.h"

namespace holdall::bundle {

// A data frame in memory.
struct FrameBytes {
  std::unique_ptr<std::byte[]> bytes;
  std::size_t size = 0;
  std::span<std::byte> span() const { return {bytes.get(), size}; }
};

// The archive is believed in nothing. Its TOC only says where a frame with certain content may be; that frame is
// decoded and compared with the content, byte by byte, before it is taken. So a damaged or hostile archive costs time,
// and at worst decides how the right bytes are compressed. Const members are thread-safe; 48 bytes of memory per chunk.
class BaseArchive {
 public:
  // Reads and checks the archive's TOC, as any reader. Throws Error{kBadBundle}.
  explicit BaseArchive(std::shared_ptr<const RandomAccess> archive);

  // Whether its TOC names a frame of that content.
  bool names(const Digest& digest, std::size_t content) const { return find(digest, content) != nullptr; }

  // Where that frame lies.
  struct Range {
    std::uint64_t offset = 0, size = 0;
  };
  std::optional<Range> frame_of(const Digest& digest, std::size_t content) const;
  // The seek table's checksum of the content of a frame that lies there. Throws as the archive does.
  std::uint32_t checksum_at(const Range& frame) const;

  // What made its frames, as bundle.json says: see frame_encoding(). Empty if it does not say.
  const std::string& encoding() const { return encoding_; }

  // Takes frames out of the archive, with buffers of its own: one per thread.
  class Copier {
   public:
    explicit Copier(const BaseArchive& base) : base_(base) {}

    enum class Finding { kNone, kBroken, kCopied };
    struct Result {
      Finding finding = Finding::kNone;  // kBroken: a frame should hold it and does not, or cannot be read
      FrameBytes frame{};                // if it is copied
    };
    // A frame whose content is exactly `content`; `digest` is its sha256.
    Result copy(const Digest& digest, std::span<const std::byte> content);

    // The frame of `size` bytes of content with that digest, if the frame's own sha256 is `frame`: proof enough for who
    // knows both digests from when the frame was made.
    Result copy_known(const Digest& digest, std::size_t size, const Digest& frame) const;

   private:
    const BaseArchive& base_;
    FrameDecoder decoder_;
    std::vector<std::byte> decoded_;
  };

 private:
  struct Place {
    Digest digest{};
    std::uint64_t offset = 0;
    std::uint32_t size = 0, content = 0;
  };
  const Place* find(const Digest& digest, std::size_t content) const;
  std::optional<FrameBytes> read(const Place& place) const;  // nothing if it cannot be read

  std::shared_ptr<const RandomAccess> archive_;
  std::string encoding_;
  std::vector<Place> places_;  // by digest
};

}  // namespace holdall::bundle
