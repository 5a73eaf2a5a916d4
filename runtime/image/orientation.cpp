#include "runtime/image/orientation.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

namespace holdall::runtime::image {
namespace {

// Integers of a TIFF block in its byte order, each read checked against the block's end.
class Tiff {
 public:
  explicit Tiff(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // False where this is no TIFF header.
  bool start() {
    if (bytes_.size() < 8) return false;
    const auto first = std::to_integer<char>(bytes_[0]);
    if (first != std::to_integer<char>(bytes_[1]) || (first != 'I' && first != 'M')) return false;
    big_endian_ = first == 'M';
    return read(2, 2) == 42U;
  }

  std::optional<std::uint32_t> read(std::size_t offset, std::size_t size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < size) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const auto byte = std::to_integer<std::uint32_t>(bytes_[offset + (big_endian_ ? i : size - 1 - i)]);
      value = value << 8 | byte;
    }
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  bool big_endian_ = false;
};

constexpr std::uint32_t kOrientationTag = 0x0112;  // EXIF 2.3, 4.6.4 A
constexpr std::uint32_t kShort = 3;
constexpr std::size_t kEntrySize = 12;

}  // namespace

Orientation exif_orientation(std::span<const std::byte> bytes) {
  Tiff tiff(bytes);
  if (!tiff.start()) return Orientation::kUpright;
  const std::size_t directory = tiff.read(4, 4).value_or(0);
  const std::uint32_t entries = tiff.read(directory, 2).value_or(0);
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntrySize;
    const auto tag = tiff.read(entry, 2);
    if (!tag) break;
    if (*tag != kOrientationTag) continue;
    if (tiff.read(entry + 2, 2) != kShort) break;
    const std::uint32_t value = tiff.read(entry + 8, 2).value_or(1);
    return value >= 1 && value <= 8 ? static_cast<Orientation>(value) : Orientation::kUpright;
  }
  return Orientation::kUpright;
}

Orientation prefixed_exif_orientation(std::span<const std::byte> exif) {
  static constexpr char kPrefix[] = {'E', 'x', 'i', 'f', 0, 0};
  if (exif.size() >= sizeof kPrefix && std::memcmp(exif.data(), kPrefix, sizeof kPrefix) == 0) {
    exif = exif.subspan(sizeof kPrefix);
  }
  return exif_orientation(exif);
}

Picture turn_upright(Picture picture, Orientation orientation) {
  if (orientation == Orientation::kUpright) return picture;
  const int width = picture.width, height = picture.height;
  const bool swaps = orientation >= Orientation::kTranspose;
  Picture upright{swaps ? height : width, swaps ? width : height, std::vector<std::uint8_t>(picture.rgb.size())};
  std::uint8_t* out = upright.rgb.data();
  for (int y = 0; y < upright.height; ++y) {
    for (int x = 0; x < upright.width; ++x, out += 3) {
      int from_x = x, from_y = y;
      switch (orientation) {
        case Orientation::kUpright:
          break;
        case Orientation::kMirror:
          from_x = width - 1 - x;
          break;
        case Orientation::kHalfTurn:
          from_x = width - 1 - x, from_y = height - 1 - y;
          break;
        case Orientation::kFlip:
          from_y = height - 1 - y;
          break;
        case Orientation::kTranspose:
          from_x = y, from_y = x;
          break;
        case Orientation::kQuarterTurn:
          from_x = y, from_y = height - 1 - x;
          break;
        case Orientation::kTransverse:
          from_x = width - 1 - y, from_y = height - 1 - x;
          break;
        case Orientation::kThreeQuarterTurn:
          from_x = width - 1 - y, from_y = x;
          break;
      }
      const std::size_t from =
          (static_cast<std::size_t>(from_y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(from_x)) * 3;
      std::copy_n(&picture.rgb[from], 3, out);
    }
  }
  return upright;
}

}  // namespace holdall::runtime::image
