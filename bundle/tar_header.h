// A member's header blocks in the tar stream, in the profile of FORMAT.md: ustar, with a PAX header before it where a
// name, link target or size does not fit. Written by libarchive; read by a strict parser of our own that accepts
// nothing which two tar programs could understand differently.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "bundle/toc.h"

namespace holdall::bundle {

inline constexpr std::size_t kTarBlock = 512;

// The zero bytes that follow `size` bytes of payload.
constexpr std::size_t tar_padding(std::uint64_t size) {
  return static_cast<std::size_t>((kTarBlock - size % kTarBlock) % kTarBlock);
}

// The header blocks for `entry` (path, type, executable, size, link_target). `mtime`: 0 to 2^33-1.
// Throws Error{kInternal}.
std::string make_tar_header(const Entry& entry, std::int64_t mtime);

// What a header says of its member.
struct TarHeader {
  std::string path, link_target;
  EntryType type = EntryType::kRegular;
  bool executable = false;
  std::uint64_t size = 0;
  std::int64_t mtime = 0;  // seconds since the epoch
};

// Reads one member's header blocks; `next` fills a block or throws. Returns nothing at a zero block, the archive's end.
// Throws Error{kBadBundle} at anything outside the profile.
std::optional<TarHeader> read_tar_header(const std::function<void(std::span<std::byte>)>& next);

// What differs between a header and the TOC, e.g. "size differs"; empty if nothing does.
std::string tar_header_fault(const TarHeader& header, const Entry& entry);

}  // namespace holdall::bundle
