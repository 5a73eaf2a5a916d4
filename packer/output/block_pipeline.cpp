#include "packer/output/block_pipeline.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace holdall::packer {
namespace {

constexpr std::size_t kBlocksPerThread = 4;  // so that nobody waits while the sink does

struct Item {
  Block block;
  bool done = false;
};

}  // namespace

struct BlockPipeline::State {
  State(const Options& given, const Maker& make, Taker taker)
      : options(given), take(std::move(taker)), max_items(kBlocksPerThread * given.threads) {
    for (unsigned i = 0; i < options.threads; ++i) compressors.push_back(make());
    try {
      for (const auto& compressor : compressors) {
        threads.emplace_back([this, worker = compressor.get()] { compress(*worker); });
      }
    } catch (...) {
      stop();
      throw;
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { stop(); }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    work.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  void compress(BlockCompressor& compressor) {
    for (;;) {
      Item* item = nullptr;
      {
        std::unique_lock lock(mutex);
        work.wait(lock, [this] { return stopping || !todo.empty(); });
        if (stopping) return;
        item = todo.front();
        todo.pop_front();
      }
      std::exception_ptr thrown;
      try {
        compressor.compress(item->block);
      } catch (...) {
        thrown = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      if (thrown && !failure) failure = thrown;
      item->done = true;
      ready.notify_one();
    }
  }

  // Hands on what is ready at the front, and waits for it until at most `left` items are under way.
  void hand_on(std::size_t left) {
    std::unique_lock lock(mutex);
    for (;;) {
      if (line.size() > left) ready.wait(lock, [this] { return failure || line.front()->done; });
      if (failure) std::rethrow_exception(failure);
      if (line.empty() || !line.front()->done) return;
      std::unique_ptr<Item> item = std::move(line.front());
      line.pop_front();
      lock.unlock();
      take(item->block);
      item->done = false;
      spare.push_back(std::move(item));
      lock.lock();
    }
  }

  // The block that is being filled is complete.
  void push() {
    hand_on(max_items - 1);
    std::unique_ptr<Item> next;
    if (spare.empty()) {
      next = std::make_unique<Item>();
    } else {
      next = std::move(spare.back());
      spare.pop_back();
    }
    const std::vector<std::byte>& content = filling->block.content;
    const std::size_t look_back = std::min(options.look_back, content.size());
    next->block.before.assign(content.end() - static_cast<std::ptrdiff_t>(look_back), content.end());
    next->block.content.clear();
    {
      const std::lock_guard lock(mutex);
      todo.push_back(filling.get());
      line.push_back(std::move(filling));
    }
    work.notify_one();
    filling = std::move(next);
  }

  const Options options;
  const Taker take;
  const std::size_t max_items;

  // The caller's thread only:
  std::unique_ptr<Item> filling = std::make_unique<Item>();
  std::vector<std::unique_ptr<Item>> spare;

  std::mutex mutex;
  std::condition_variable work, ready;
  std::deque<std::unique_ptr<Item>> line;  // under way, in order
  std::deque<Item*> todo;                  // those of them that no thread has begun
  bool stopping = false;
  std::exception_ptr failure;
  std::vector<std::unique_ptr<BlockCompressor>> compressors;
  std::vector<std::thread> threads;
};

BlockPipeline::BlockPipeline(const Options& options, const Maker& make, Taker take)
    : state_(std::make_unique<State>(options, make, std::move(take))) {}
BlockPipeline::~BlockPipeline() = default;

void BlockPipeline::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    std::vector<std::byte>& content = state_->filling->block.content;
    if (content.capacity() < state_->options.block_bytes) content.reserve(state_->options.block_bytes);
    const std::size_t part = std::min(bytes.size(), state_->options.block_bytes - content.size());
    content.insert(content.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
    bytes = bytes.subspan(part);
    if (content.size() == state_->options.block_bytes) state_->push();
  }
}

void BlockPipeline::finish() {
  if (!state_->filling->block.content.empty()) state_->push();
  state_->hand_on(0);
}

}  // namespace holdall::packer
