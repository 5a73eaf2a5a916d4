// SHA-256 and XXH64, by OpenSSL and xxHash.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace holdall::bundle {

using Digest = std::array<std::uint8_t, 32>;

// An incremental SHA-256. Movable, not copyable. finish() may be called once.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();
  void update(std::span<const std::byte> data);
  Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Digest sha256(std::span<const std::byte> data);

// 64 lower-case hex digits, without a prefix.
std::string to_hex(const Digest& digest);

// "sha256:<hex>", the form that TOC and bundle.json use.
std::string to_string(const Digest& digest);

// Accepts both forms. Throws Error{kBadBundle}.
Digest parse_digest(std::string_view text);

// Low 32 bits of XXH64 with seed 0: the checksum of a seek-table entry and of a zstd frame.
std::uint32_t xxh64_low32(std::span<const std::byte> data);

}  // namespace holdall::bundle
