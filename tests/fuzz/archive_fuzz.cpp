#include <cstdint>
#include <cstring>
#include <vector>

#include "bundle/error.h"
#include "bundle/reader.h"
#include "tests/fuzz/fuzz.h"

namespace {

class Bytes final : public holdall::bundle::RandomAccess {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint64_t size() const override { return size_; }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > size_ || out.size() > size_ - offset) std::abort();  // a reader must know the archive's size
    if (!out.empty()) std::memcpy(out.data(), data_ + offset, out.size());
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return holdall::fuzz::refuses_only_as_bad_bundle(
      [&] { verify(holdall::bundle::Reader::open(std::make_shared<Bytes>(data, size)), 1); });
}
