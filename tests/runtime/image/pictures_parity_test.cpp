// Decoding and Lanczos as PIL does them, on the pictures of tests/data/parity/make_pictures.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "runtime/image/codec.h"
#include "runtime/image/resize.h"

namespace holdall::runtime::image {
namespace {

namespace fs = std::filesystem;
const fs::path kFixtures = HOLDALL_PICTURES;

std::string read(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  return bytes.str();
}

// Binary PPM as PIL writes it.
Picture read_ppm(const fs::path& file) {
  std::istringstream stream(read(file));
  std::string magic;
  int most = 0;
  Picture picture;
  stream >> magic >> picture.width >> picture.height >> most;
  stream.get();
  picture.rgb.resize(static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.height) * 3);
  stream.read(reinterpret_cast<char*>(picture.rgb.data()), static_cast<std::streamsize>(picture.rgb.size()));
  EXPECT_TRUE(stream.good() && magic == "P6" && most == 255) << file;
  return picture;
}

// The largest difference of two bytes, or 256 where the sizes differ.
int difference(const Picture& a, const Picture& b) {
  if (a.width != b.width || a.height != b.height || a.rgb.size() != b.rgb.size()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) largest = std::max(largest, std::abs(a.rgb[i] - b.rgb[i]));
  return largest;
}

TEST(PicturesParity, DecodesAsPilDoes) {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(kFixtures / "decode")) {
    const fs::path file = entry.path();
    if (file.extension() == ".ppm") continue;
    ++seen;
    const std::string bytes = read(file);
    const Picture picture = decode(std::as_bytes(std::span(bytes)), 1 << 20);
    // Lossy decoders may round differently from version to version; everything else is exact.
    const bool lossy = file.extension() == ".jpg" || file.stem().string().find("lossy") != std::string::npos;
    EXPECT_LE(difference(picture, read_ppm(file.string() + ".ppm")), lossy ? 1 : 0) << file.filename();
  }
  EXPECT_GE(seen, 50);
}

TEST(PicturesParity, ResizesByLanczosToPilsBits) {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(kFixtures / "lanczos")) {
    const std::string name = entry.path().stem().string();
    const std::size_t cut = name.find('_');
    if (cut == std::string::npos) continue;
    ++seen;
    const Picture expected = read_ppm(entry.path());
    const Picture input = read_ppm(kFixtures / "lanczos" / (name.substr(0, cut) + ".ppm"));
    EXPECT_EQ(difference(resize_lanczos(input, expected.width, expected.height), expected), 0) << name;
  }
  EXPECT_GE(seen, 29);
}

}  // namespace
}  // namespace holdall::runtime::image
