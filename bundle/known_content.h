// Content that this machine has already, so that extract() need not take it from the archive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "bundle/digest.h"
#include "bundle/file_descriptor.h"

namespace holdall::bundle {

// Thread-safe.
class KnownContent {
 public:
  virtual ~KnownContent() = default;

  // Whether there seem to be bytes of that sha256. Reads nothing.
  virtual bool names(const Digest& chunk) const = 0;

  // Fills `out` with bytes of that sha256, proven. False: there are none, or they have changed; `out` is then
  // undefined.
  virtual bool read(const Digest& chunk, std::span<std::byte> out) const = 0;

  // A file of `size` bytes that had that sha256, open for reading and unproven. Empty: there is none.
  virtual FileDescriptor open_whole(const Digest& file, std::uint64_t size) const = 0;
};

}  // namespace holdall::bundle
