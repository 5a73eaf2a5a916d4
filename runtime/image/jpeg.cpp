#include <cstdio>
// libjpeg's headers want <cstdio> first.
#include <jpeglib.h>

#include <jerror.h>

#include <cstdlib>
#include <cstring>

#include "runtime/error.h"
#include "runtime/image/codecs.h"
#include "runtime/image/guarded.h"

namespace holdall::runtime::image {
namespace {

constexpr int kExifMarker = JPEG_APP0 + 1;
constexpr int kMostScans = 500;  // a progressive file of a few kB can otherwise ask for hours of passes

struct Fault {
  jpeg_error_mgr manager{};  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* fault = reinterpret_cast<Fault*>(info->err);
  info->err->format_message(info, fault->message);
  std::longjmp(fault->jump, 1);
}

// libjpeg fills what is missing or damaged with grey and warns: a broken picture, here.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      on_error(info);
    default:
      break;
  }
}
void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  auto* fault = reinterpret_cast<Fault*>(info->err);
  std::snprintf(fault->message, sizeof fault->message, "it has more than %d scans", kMostScans);
  std::longjmp(fault->jump, 1);
}

void set_handlers(Fault& fault) {
  jpeg_std_error(&fault.manager);
  fault.manager.error_exit = on_error;
  fault.manager.emit_message = on_message;
  fault.manager.output_message = on_output;
}

struct Reader {
  Fault fault;
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct info{};

  Reader() {
    set_handlers(fault);
    info.err = &fault.manager;
    progress.progress_monitor = on_progress;
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { jpeg_destroy_decompress(&info); }
};

Orientation find_orientation(const jpeg_decompress_struct& info) {
  static constexpr char kPrefix[] = {'E', 'x', 'i', 'f', 0, 0};
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::span data(reinterpret_cast<const std::byte*>(marker->data), marker->data_length);
    if (marker->marker != kExifMarker || data.size() < sizeof kPrefix) continue;
    if (std::memcmp(data.data(), kPrefix, sizeof kPrefix) == 0) return exif_orientation(data.subspan(sizeof kPrefix));
  }
  return Orientation::kUpright;
}

// CMYK as Adobe stores it, inverted, to RGB in PIL's integers: k − c·k/255, rounded.
void cmyk_to_rgb(const std::uint8_t* inverted, std::uint8_t* rgb, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i, inverted += 4, rgb += 3) {
    const int white = inverted[3];
    for (int channel = 0; channel < 3; ++channel) {
      const int product = (255 - inverted[channel]) * white + 128;
      rgb[channel] = static_cast<std::uint8_t>(white - (((product >> 8) + product) >> 8));
    }
  }
}

void read_pixels(Reader& reader, std::uint8_t* rgb, std::uint8_t* cmyk_row) {
  jpeg_decompress_struct& info = reader.info;
  info.out_color_space = cmyk_row != nullptr ? JCS_CMYK : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&info);
  for (std::size_t width = info.output_width; info.output_scanline < info.output_height; rgb += width * 3) {
    JSAMPROW row = cmyk_row != nullptr ? cmyk_row : rgb;
    jpeg_read_scanlines(&info, &row, 1);
    if (cmyk_row != nullptr) cmyk_to_rgb(cmyk_row, rgb, width);
  }
  jpeg_finish_decompress(&info);
}

struct Writer {
  Fault fault;
  jpeg_compress_struct info{};
  unsigned char* data = nullptr;  // by malloc, grown by libjpeg
  unsigned long size = 0;

  Writer() {
    set_handlers(fault);
    info.err = &fault.manager;
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    jpeg_destroy_compress(&info);
    std::free(data);
  }
};

}  // namespace

Decoded decode_jpeg(std::span<const std::byte> bytes, std::uint64_t max_pixels) {
  Reader reader;
  jpeg_decompress_struct& info = reader.info;
  const bool started = guarded(reader.fault.jump, [&] {
    jpeg_create_decompress(&info);
    info.progress = &reader.progress;
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_save_markers(&info, kExifMarker, 0xffff);
    jpeg_read_header(&info, TRUE);
  });
  if (!started) refuse_picture(reader.fault.message);
  if (info.num_components != 1 && info.num_components != 3 && info.num_components != 4) {
    refuse_picture("it has " + std::to_string(info.num_components) + " colour components, not 1, 3 or 4");
  }
  Decoded decoded{checked_picture(info.image_width, info.image_height, max_pixels), find_orientation(info)};
  std::vector<std::uint8_t> cmyk_row(info.num_components == 4 ? std::size_t{info.image_width} * 4 : 0);
  std::uint8_t* rgb = decoded.picture.rgb.data();
  std::uint8_t* row = cmyk_row.empty() ? nullptr : cmyk_row.data();
  if (!guarded(reader.fault.jump, [&] { read_pixels(reader, rgb, row); })) refuse_picture(reader.fault.message);
  return decoded;
}

std::vector<std::byte> encode_jpeg(const Picture& picture, const EncodeOptions& options) {
  check_encodable(picture, "jpeg", JPEG_MAX_DIMENSION);
  constexpr int kFullChromaFrom = 90;  // from this quality on, halved chroma would be the larger loss
  Writer writer;
  jpeg_compress_struct& info = writer.info;
  const bool written = guarded(writer.fault.jump, [&] {
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &writer.data, &writer.size);
    info.image_width = static_cast<JDIMENSION>(picture.width);
    info.image_height = static_cast<JDIMENSION>(picture.height);
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, options.quality, TRUE);
    if (options.quality >= kFullChromaFrom) info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      auto* row = const_cast<JSAMPROW>(&picture.rgb[std::size_t{info.next_scanline} * info.image_width * 3]);
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
  });
  if (!written)
    throw Error(ErrorKind::kInternal, std::string("cannot write the picture as jpeg: ") + writer.fault.message);
  const auto* data = reinterpret_cast<const std::byte*>(writer.data);
  return {data, data + writer.size};
}

}  // namespace holdall::runtime::image
