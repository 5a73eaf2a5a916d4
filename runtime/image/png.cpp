#include <png.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "runtime/error.h"
#include "runtime/image/codecs.h"
#include "runtime/image/guarded.h"

namespace holdall::runtime::image {
namespace {

// libpng's error pointer in both directions.
struct Fault {
  std::jmp_buf jump;
  char message[128] = "";
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* fault = static_cast<Fault*>(png_get_error_ptr(png));
  std::snprintf(fault->message, sizeof fault->message, "%s", message);
  std::longjmp(fault->jump, 1);
}
void on_warning(png_structp, png_const_charp) {}

struct Input {
  const std::byte* data;
  std::size_t size;
};

void on_read(png_structp png, png_bytep out, std::size_t size) {
  auto* input = static_cast<Input*>(png_get_io_ptr(png));
  if (size > input->size) png_error(png, "it is truncated");
  std::memcpy(out, input->data, size);
  input->data += size;
  input->size -= size;
}

struct Reader {
  Fault fault;
  Input input{};
  png_structp png = nullptr;
  png_infop info = nullptr;

  explicit Reader(std::span<const std::byte> bytes) : input{bytes.data(), bytes.size()} {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &fault, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) {
      png_destroy_read_struct(&png, nullptr, nullptr);
      throw Error(ErrorKind::kOutOfMemory, "cannot start libpng: out of memory");
    }
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

std::uint32_t big_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (const std::byte byte : bytes.first(4)) value = value << 8 | std::to_integer<std::uint32_t>(byte);
  return value;
}

// Found by walking the chunks ourselves, so that libpng may be told to skip everything ancillary: no compressed profile
// or text is ever inflated.
Orientation find_orientation(std::span<const std::byte> bytes) {
  constexpr std::size_t kSignature = 8, kHeader = 8, kCrc = 4;
  bytes = bytes.subspan(kSignature);
  while (bytes.size() >= kHeader) {
    const std::size_t length = big_endian(bytes);
    if (length > bytes.size() - kHeader) break;
    if (std::memcmp(bytes.data() + 4, "eXIf", 4) == 0) return exif_orientation(bytes.subspan(kHeader, length));
    bytes = bytes.subspan(std::min(bytes.size(), kHeader + length + kCrc));
  }
  return Orientation::kUpright;
}

void read_header(Reader& reader) {
  png_structp png = reader.png;
  png_set_read_fn(png, &reader.input, on_read);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_chunk_malloc_max(png, 0);                  // skipped chunks cost no memory, however long
  png_set_user_limits(png, 0x7fffffff, 0x7fffffff);  // ours is in pixels, checked right after
  png_read_info(png, reader.info);
}

bool has_alpha(Reader& reader) {
  return (png_get_color_type(reader.png, reader.info) & PNG_COLOR_MASK_ALPHA) != 0 ||
         png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) != 0;
}

// Grey, palette and 16 bits all to 8-bit RGB, or RGBA where alpha is kept; else it and tRNS are dropped. 16 bits keep
// their high byte, as PIL does with colour; its clamping of 16-bit grey to 255, which turns pictures white, is not
// followed.
void read_pixels(Reader& reader, std::uint8_t* pixels, std::size_t stride, Alpha alpha) {
  png_structp png = reader.png;
  const int colour = png_get_color_type(png, reader.info);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (colour == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png);
  if ((colour & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png);
  if (alpha == Alpha::kKeep)
    png_set_tRNS_to_alpha(png);
  else
    png_set_strip_alpha(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, reader.info);
  const std::uint32_t height = png_get_image_height(png, reader.info);
  if (png_get_rowbytes(png, reader.info) != stride) png_error(png, "its rows have an unexpected length");
  for (int pass = 0; pass < passes; ++pass) {
    for (std::uint32_t y = 0; y < height; ++y) png_read_row(png, pixels + y * stride, nullptr);
  }
  png_read_end(png, nullptr);
}

struct Writer {
  Fault fault;
  png_structp png = nullptr;
  png_infop info = nullptr;

  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &fault, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) {
      png_destroy_write_struct(&png, nullptr);
      throw Error(ErrorKind::kOutOfMemory, "cannot start libpng: out of memory");
    }
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

void on_write(png_structp png, png_bytep data, std::size_t size) {
  auto* out = static_cast<std::vector<std::byte>*>(png_get_io_ptr(png));
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  bool stored = true;
  try {
    out->insert(out->end(), bytes, bytes + size);
  } catch (const std::exception&) {
    stored = false;  // no exception crosses libpng's frames
  }
  if (!stored) png_error(png, "out of memory");
}
void on_flush(png_structp) {}

// tEXt holds Latin-1; anything beyond ASCII goes into iTXt, which is UTF-8.
std::vector<png_text> text_chunks(const std::map<std::string, std::string>& text) {
  std::vector<png_text> chunks;
  for (const auto& [key, value] : text) {
    const auto ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    png_text chunk{};
    chunk.compression =
        std::all_of(value.begin(), value.end(), ascii) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(key.c_str());
    chunk.text = const_cast<char*>(value.c_str());
    chunk.text_length = value.size();
    chunk.itxt_length = value.size();
    chunks.push_back(chunk);
  }
  return chunks;
}

}  // namespace

Decoded decode_png(std::span<const std::byte> bytes, std::uint64_t max_pixels, Alpha alpha) {
  Reader reader(bytes);
  if (!guarded(reader.fault.jump, [&] { read_header(reader); })) refuse_picture(reader.fault.message);
  const std::uint32_t width = png_get_image_width(reader.png, reader.info);
  const std::uint32_t height = png_get_image_height(reader.png, reader.info);
  Decoded decoded{checked_picture(width, height, max_pixels), find_orientation(bytes)};
  if (!has_alpha(reader)) alpha = Alpha::kDrop;
  const std::size_t channels = alpha == Alpha::kKeep ? 4 : 3;
  std::vector<std::uint8_t> rgba(alpha == Alpha::kKeep ? std::size_t{width} * height * channels : 0);
  std::uint8_t* pixels = alpha == Alpha::kKeep ? rgba.data() : decoded.picture.rgb.data();
  if (!guarded(reader.fault.jump, [&] { read_pixels(reader, pixels, width * channels, alpha); })) {
    refuse_picture(reader.fault.message);
  }
  if (alpha == Alpha::kKeep) split_alpha(rgba, decoded);
  return decoded;
}

std::vector<std::byte> encode_png(const Picture& picture, const EncodeOptions& options) {
  std::vector<std::byte> out;
  std::vector<png_text> text = text_chunks(options.text);
  const auto width = static_cast<std::uint32_t>(picture.width), height = static_cast<std::uint32_t>(picture.height);
  Writer writer;
  const bool written = guarded(writer.fault.jump, [&] {
    png_structp png = writer.png;
    png_set_write_fn(png, &out, on_write, on_flush);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
    png_set_IHDR(png, writer.info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!text.empty()) png_set_text(png, writer.info, text.data(), static_cast<int>(text.size()));
    png_write_info(png, writer.info);
    for (std::uint32_t y = 0; y < height; ++y) png_write_row(png, &picture.rgb[std::size_t{y} * width * 3]);
    png_write_end(png, nullptr);
  });
  if (!written)
    throw Error(ErrorKind::kInternal, std::string("cannot write the picture as png: ") + writer.fault.message);
  return out;
}

}  // namespace holdall::runtime::image
