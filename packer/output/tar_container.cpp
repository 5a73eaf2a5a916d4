#include <array>

#include "bundle/byte_order.h"
#include "bundle/tar_header.h"
#include "packer/output/container.h"

namespace holdall::packer {
namespace {

constexpr std::array<std::byte, 2 * bundle::kTarBlock> kZeros{};

class TarContainer final : public Container {
 public:
  TarContainer(std::unique_ptr<ByteStream> stream, std::int64_t mtime) : stream_(std::move(stream)), mtime_(mtime) {}

  void begin(const bundle::Entry& entry) override {
    stream_->write(bundle::as_byte_span(bundle::make_tar_header(entry, mtime_)));
    padding_ = entry.type == bundle::EntryType::kRegular ? bundle::tar_padding(entry.size) : 0;
  }
  void write(std::span<const std::byte> bytes) override { stream_->write(bytes); }
  void end() override { stream_->write(std::span(kZeros).first(padding_)); }

  void finish() override {
    stream_->write(kZeros);
    stream_->finish();
  }

 private:
  const std::unique_ptr<ByteStream> stream_;
  const std::int64_t mtime_;
  std::size_t padding_ = 0;
};

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(bundle::ByteSink sink) : sink_(std::move(sink)) {}
  void write(std::span<const std::byte> bytes) override { sink_(bytes); }
  void finish() override {}

 private:
  const bundle::ByteSink sink_;
};

}  // namespace

std::unique_ptr<Container> tar_container(std::unique_ptr<ByteStream> stream, std::int64_t mtime) {
  return std::make_unique<TarContainer>(std::move(stream), mtime);
}

std::unique_ptr<ByteStream> plain_stream(bundle::ByteSink sink) {
  return std::make_unique<PlainStream>(std::move(sink));
}

}  // namespace holdall::packer
