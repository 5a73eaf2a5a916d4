#include "bundle/chunker.h"

#include <algorithm>
#include <array>
#include <string>

#include "bundle/digest.h"

namespace holdall::bundle {

namespace {

// The hash of a position depends on the 64 bytes before it: older ones are shifted out.
constexpr std::size_t kWindow = 64;

// A cut has probability 2^-32 * 5461 = 1 / 786,500 per byte behind the minimum, so that chunks average 1 MiB.
constexpr std::uint64_t kCutBelow = std::uint64_t{5461} << 32;

std::array<std::uint64_t, 256> make_gear_table() {
  std::array<std::uint64_t, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::string seed = "holdall gear 1 " + std::to_string(i);
    const Digest digest = sha256(std::as_bytes(std::span(seed)));
    for (std::size_t byte = 0; byte < 8; ++byte) table[i] |= std::uint64_t{digest[byte]} << (8 * byte);
  }
  return table;
}

}  // namespace

std::span<const std::uint64_t, 256> gear_table() {
  static const std::array<std::uint64_t, 256> table = make_gear_table();
  return table;
}

std::optional<std::size_t> Chunker::cut(std::span<const std::byte> chunk, bool last) {
  const auto take = [this](std::size_t size) {
    scanned_ = 0;
    hash_ = 0;
    return size;
  };
  const std::uint64_t* const gear = gear_table().data();
  const std::size_t end = std::min(chunk.size(), kMaxChunk);
  std::size_t at = std::max(scanned_, kMinChunk - kWindow);
  std::uint64_t hash = hash_;
  for (; at < std::min(end, kMinChunk); ++at) hash = (hash << 1) + gear[static_cast<std::uint8_t>(chunk[at])];
  constexpr std::size_t kUnroll = 8;  // the scan is one of packing's main costs
  for (; at + kUnroll <= end; at += kUnroll) {
    for (std::size_t i = 0; i < kUnroll; ++i) {
      if (hash < kCutBelow) return take(at + i);
      hash = (hash << 1) + gear[static_cast<std::uint8_t>(chunk[at + i])];
    }
  }
  for (; at < end; ++at) {
    if (hash < kCutBelow) return take(at);
    hash = (hash << 1) + gear[static_cast<std::uint8_t>(chunk[at])];
  }
  if (chunk.size() >= kMaxChunk) return take(kMaxChunk);
  if (last) return take(chunk.size());
  if (at == end) {
    scanned_ = at;
    hash_ = hash;
  }
  return std::nullopt;
}

}  // namespace holdall::bundle
