// A gzip file, unpacked as it is read, with every checksum compared: libarchive's own filter compares none.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bundle/reader.h"

namespace holdall::launcher {

class Gunzip {
 public:
  explicit Gunzip(std::shared_ptr<const bundle::RandomAccess> archive);
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;
  ~Gunzip();

  // The next bytes, until the next call; none at the end, which may be that of several members (RFC 1952) and have
  // zeros behind it. Throws Error{kBadBundle}.
  std::span<const std::byte> next();

 private:
  bool refill();
  bool begin_member();

  const std::shared_ptr<const bundle::RandomAccess> archive_;
  std::uint64_t offset_ = 0;
  std::vector<std::byte> packed_, unpacked_;
  z_stream stream_{};
  bool in_member_ = false;
};

}  // namespace holdall::launcher
