// How a camera was held: EXIF tag 0x0112, and turning a picture upright.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/image/picture.h"

namespace holdall::runtime::image {

// EXIF's own values. "Row 0, column 0 of the file lie at …" of the upright picture: the names say what makes it
// upright.
enum class Orientation {
  kUpright = 1,
  kMirror = 2,  // left to right
  kHalfTurn = 3,
  kFlip = 4,  // top to bottom
  kTranspose = 5,
  kQuarterTurn = 6,  // clockwise
  kTransverse = 7,
  kThreeQuarterTurn = 8,  // clockwise
};

// The orientation that a TIFF block says (what follows "Exif\0\0" in JPEG, a whole eXIf chunk in PNG). Metadata never
// makes a picture unreadable: a block that is broken or says nothing is kUpright. Reads only inside `tiff`.
Orientation exif_orientation(std::span<const std::byte> tiff);

// The same block with or without "Exif\0\0" in front, as WebP files have it.
Orientation prefixed_exif_orientation(std::span<const std::byte> exif);

Picture turn_upright(Picture picture, Orientation orientation);

}  // namespace holdall::runtime::image
