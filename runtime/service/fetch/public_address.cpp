#include "runtime/service/fetch/public_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace holdall::runtime::service {
namespace {

template <std::size_t N>
struct Block {
  std::array<std::uint8_t, N> first;
  int bits;
};
using V4 = std::array<std::uint8_t, 4>;
using V6 = std::array<std::uint8_t, 16>;

constexpr Block<4> kSetAside4[] = {
    {{0}, 8},              // "this network", 0.0.0.0 among it
    {{10}, 8},             // private
    {{100, 64}, 10},       // shared by a carrier's customers
    {{127}, 8},            // loopback
    {{169, 254}, 16},      // link-local, clouds' metadata services
    {{172, 16}, 12},       // private
    {{192, 0, 0}, 24},     // protocol assignments
    {{192, 0, 2}, 24},     // documentation
    {{192, 88, 99}, 24},   // 6to4 relays
    {{192, 168}, 16},      // private
    {{198, 18}, 15},       // benchmarks
    {{198, 51, 100}, 24},  // documentation
    {{203, 0, 113}, 24},   // documentation
    {{224}, 4},            // multicast
    {{240}, 4},            // reserved, broadcast
};

// Of global unicast, which is all that may be public: loopback, link-local, unique local and multicast lie outside.
constexpr Block<16> kGlobalUnicast = {{0x20}, 3};
constexpr Block<16> kSetAside6[] = {
    {{0x20, 0x01}, 23},              // protocol assignments, Teredo
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    {{0x20, 0x02}, 16},              // 6to4: an IPv4 address inside
    {{0x3f, 0xff}, 20},              // documentation
};
constexpr Block<16> kNat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};  // the last four bytes are an IPv4 address

template <std::size_t N>
bool contains(const Block<N>& block, const std::array<std::uint8_t, N>& address) {
  for (int bit = 0; bit < block.bits; ++bit) {
    const auto byte = static_cast<std::size_t>(bit / 8);
    if ((block.first[byte] ^ address[byte]) & (0x80 >> bit % 8)) return false;
  }
  return true;
}

template <std::size_t N>
bool is_set_aside(std::span<const Block<N>> blocks, const std::array<std::uint8_t, N>& address) {
  return std::ranges::any_of(blocks, [&](const Block<N>& block) { return contains(block, address); });
}

}  // namespace

bool is_public(const std::string& address) {
  V4 v4{};
  V6 v6{};
  if (::inet_pton(AF_INET6, address.c_str(), v6.data()) == 1) {
    if (!contains(kNat64, v6)) return contains(kGlobalUnicast, v6) && !is_set_aside<16>(kSetAside6, v6);
    std::copy(v6.end() - 4, v6.end(), v4.begin());
  } else if (::inet_pton(AF_INET, address.c_str(), v4.data()) != 1) {
    return false;
  }
  return !is_set_aside<4>(kSetAside4, v4);
}

bool are_public(const std::vector<std::string>& addresses) {
  return !addresses.empty() && std::ranges::all_of(addresses, is_public);
}

}  // namespace holdall::runtime::service
