// The caps of format 1, each checked before memory is allocated for what it bounds.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdall::bundle {

inline constexpr std::size_t kMaxFrameContent = std::size_t{4} << 20;  // uncompressed bytes of a data frame
inline constexpr std::uint64_t kMaxFrames = 4'000'000;                 // seek-table entries
inline constexpr std::uint64_t kMaxEntries = 4'000'000;                // elements of the TOC's `entries`
inline constexpr std::uint64_t kMaxTocBytes = std::uint64_t{1} << 30;  // JSON: some 350 bytes a file
inline constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 50;
inline constexpr std::uint64_t kMaxTotalBytes = std::uint64_t{1} << 52;  // of all files
inline constexpr std::size_t kMaxInfoBytes = 32 * 1024;                  // bundle.json
inline constexpr std::size_t kMaxPathBytes = 4095;                       // Linux: PATH_MAX less its NUL
inline constexpr std::size_t kMaxNameBytes = 255;                        // of one component; Linux: NAME_MAX
inline constexpr std::size_t kMaxDepth = 128;                            // components of a path or link target
inline constexpr int kMaxLinkSteps = 40;                                 // links met while resolving one; as in Linux

}  // namespace holdall::bundle
