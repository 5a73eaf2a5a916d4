#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "launcher/foreign/foreign_archive.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace holdall;

class Bytes : public bundle::RandomAccess {
 public:
  Bytes(const void* data, std::size_t size) : bytes_(size) {
    if (size != 0) std::memcpy(bytes_.data(), data, size);
  }
  std::uint64_t size() const override { return bytes_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    fuzz::require(offset <= bytes_.size() && out.size() <= bytes_.size() - offset);
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

// What is accepted becomes a bundle that a reader accepts, whose links stay inside.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuses_only_as_bad_bundle([&] {
    const launcher::ForeignArchive archive(std::make_shared<Bytes>(data, size), "fuzz", [] {});
    std::vector<std::byte> made;
    launcher::ForeignArchive::Output output;
    output.sink = [&](std::span<const std::byte> bytes) { made.insert(made.end(), bytes.begin(), bytes.end()); };
    output.scratch = [] { return bundle::FileDescriptor(::memfd_create("scratch", MFD_CLOEXEC)); };
    output.check = [] {};
    archive.write_bundle(output);
    const auto reader = bundle::Reader::open(std::make_shared<Bytes>(made.data(), made.size()));
    fuzz::require(!reader.toc().entries.empty());
  });
}
