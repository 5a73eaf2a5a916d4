#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>

#include <memory>

#include "runtime/error.h"
#include "runtime/image/codecs.h"

namespace holdall::runtime::image {
namespace {

struct DeleteDemuxer {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};

struct Frame {
  WebPIterator iterator{};
  Frame() = default;
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  ~Frame() { WebPDemuxReleaseIterator(&iterator); }
};

Orientation find_orientation(const WebPDemuxer* demuxer) {
  WebPChunkIterator chunk{};
  Orientation orientation = Orientation::kUpright;
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk) != 0) {
    orientation = prefixed_exif_orientation({reinterpret_cast<const std::byte*>(chunk.chunk.bytes), chunk.chunk.size});
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

struct Memory {
  WebPMemoryWriter writer{};
  Memory() { WebPMemoryWriterInit(&writer); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { WebPMemoryWriterClear(&writer); }
};

struct Canvas {
  WebPPicture picture{};
  Canvas() = default;
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;
  ~Canvas() { WebPPictureFree(&picture); }
};

}  // namespace

// Of an animation the first frame, on black where it leaves the canvas free.
Decoded decode_webp(std::span<const std::byte> bytes, std::uint64_t max_pixels, Alpha alpha) {
  const WebPData data{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
  const std::unique_ptr<WebPDemuxer, DeleteDemuxer> demuxer(WebPDemux(&data));
  if (!demuxer) refuse_picture("its WebP container is broken or truncated");
  Frame frame;
  if (WebPDemuxGetFrame(demuxer.get(), 1, &frame.iterator) == 0) refuse_picture("it has no frame");
  const std::uint32_t width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
  const std::uint32_t height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  const WebPIterator& it = frame.iterator;
  Decoded decoded{checked_picture(width, height, max_pixels), find_orientation(demuxer.get())};
  if (it.x_offset < 0 || it.y_offset < 0 || it.width <= 0 || it.height <= 0 ||
      std::uint64_t(it.x_offset) + std::uint64_t(it.width) > width ||
      std::uint64_t(it.y_offset) + std::uint64_t(it.height) > height) {
    refuse_picture("its first frame lies outside its canvas");
  }

  const bool keep = alpha == Alpha::kKeep && it.has_alpha != 0;
  const std::size_t channels = keep ? 4 : 3, stride = width * channels;
  std::vector<std::uint8_t> rgba(keep ? stride * height : 0);
  const std::size_t offset = std::size_t(it.y_offset) * stride + std::size_t(it.x_offset) * channels;
  const std::span<std::uint8_t> target = std::span(keep ? rgba : decoded.picture.rgb).subspan(offset);
  int frame_width = 0, frame_height = 0;
  if (WebPGetInfo(it.fragment.bytes, it.fragment.size, &frame_width, &frame_height) == 0 || frame_width != it.width ||
      frame_height != it.height || it.complete == 0 ||
      (keep ? WebPDecodeRGBAInto : WebPDecodeRGBInto)(it.fragment.bytes, it.fragment.size, target.data(), target.size(),
                                                      static_cast<int>(stride)) == nullptr) {
    refuse_picture("its WebP data is broken or truncated");
  }
  if (keep) split_alpha(rgba, decoded);
  return decoded;
}

std::vector<std::byte> encode_webp(const Picture& picture, const EncodeOptions& options) {
  check_encodable(picture, "webp", WEBP_MAX_DIMENSION);
  WebPConfig config;
  Memory memory;
  Canvas canvas;
  if (WebPConfigPreset(&config, WEBP_PRESET_DEFAULT, static_cast<float>(options.quality)) == 0 ||
      WebPPictureInit(&canvas.picture) == 0) {
    throw Error(ErrorKind::kInternal, "cannot start libwebp with quality " + std::to_string(options.quality));
  }
  canvas.picture.width = picture.width;
  canvas.picture.height = picture.height;
  canvas.picture.writer = WebPMemoryWrite;
  canvas.picture.custom_ptr = &memory.writer;
  if (WebPPictureImportRGB(&canvas.picture, picture.rgb.data(), picture.width * 3) == 0 ||
      WebPEncode(&config, &canvas.picture) == 0) {
    throw Error(ErrorKind::kInternal,
                "cannot write the picture as webp: libwebp's error " + std::to_string(canvas.picture.error_code));
  }
  const auto* data = reinterpret_cast<const std::byte*>(memory.writer.mem);
  return {data, data + memory.writer.size};
}

}  // namespace holdall::runtime::image
