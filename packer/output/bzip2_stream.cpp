#include <bzlib.h>

#include "bundle/error.h"
#include "packer/output/block_pipeline.h"
#include "packer/output/byte_stream.h"

namespace holdall::packer {
namespace {

// bzip2's block is `level` times 100 kB, of which its first stage leaves some bytes free: so a block of ours is one of
// bzip2's, and the level means what it means there.
constexpr std::size_t kLevelBytes = 100'000, kReserve = 20;
constexpr int kWorkFactor = 0;  // the default

class Compressor final : public BlockCompressor {
 public:
  explicit Compressor(int level) : level_(level) {}

  void compress(Block& block) override {
    // bzlib.h: 1 % and 600 bytes more are always enough.
    block.packed.resize(block.content.size() + block.content.size() / 100 + 600);
    auto size = static_cast<unsigned>(block.packed.size());
    const int status = BZ2_bzBuffToBuffCompress(
        reinterpret_cast<char*>(block.packed.data()), &size,
        const_cast<char*>(reinterpret_cast<const char*>(block.content.data())),  // it does not change it
        static_cast<unsigned>(block.content.size()), level_, 0, kWorkFactor);
    if (status != BZ_OK) {
      throw bundle::Error(bundle::ErrorKind::kInternal,
                          status == BZ_MEM_ERROR ? "cannot compress: out of memory" : "cannot compress: bzip2 failed");
    }
    block.packed.resize(size);
  }

 private:
  const int level_;
};

class Bzip2Stream final : public ByteStream {
 public:
  Bzip2Stream(const StreamOptions& options, bundle::ByteSink sink)
      : pipeline_(
            {.block_bytes = static_cast<std::size_t>(options.level) * kLevelBytes - kReserve,
             .look_back = 0,
             .threads = options.threads},
            [level = options.level] { return std::make_unique<Compressor>(level); },
            [sink = std::move(sink)](const Block& block) { sink(block.packed); }) {}

  void write(std::span<const std::byte> bytes) override { pipeline_.write(bytes); }
  void finish() override { pipeline_.finish(); }

 private:
  BlockPipeline pipeline_;
};

}  // namespace

std::unique_ptr<ByteStream> bzip2_stream(const StreamOptions& options, bundle::ByteSink sink) {
  return std::make_unique<Bzip2Stream>(options, std::move(sink));
}

const char* bzip2_library() {
  return BZ2_bzlibVersion();
}

}  // namespace holdall::packer
