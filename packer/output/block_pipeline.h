// Compresses a stream in blocks of one size, several at a time, and hands them on in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace holdall::packer {

struct Block {
  std::vector<std::byte> before;   // the end of the block before it, as far as the compressor looks back
  std::vector<std::byte> content;  // never empty
  std::vector<std::byte> packed;   // the compressor's result
  std::uint32_t checksum = 0;      // of `content`, if the compressor makes one
};

// One for each thread. The result depends on nothing but the block.
class BlockCompressor {
 public:
  virtual ~BlockCompressor() = default;
  virtual void compress(Block& block) = 0;
};

class BlockPipeline {
 public:
  struct Options {
    std::size_t block_bytes = 0, look_back = 0;
    unsigned threads = 1;
  };
  using Maker = std::function<std::unique_ptr<BlockCompressor>()>;
  using Taker = std::function<void(const Block&)>;  // called in the caller's thread, in order

  // Memory: four blocks for each thread, content and result.
  BlockPipeline(const Options& options, const Maker& make, Taker take);
  ~BlockPipeline();  // without finish(): ends the threads, drops what they have

  // Both throw what a compressor or the taker threw; then the pipeline can only be destroyed.
  void write(std::span<const std::byte> bytes);
  void finish();  // once, last: everything has been taken when it returns

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdall::packer
