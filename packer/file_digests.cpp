#include "packer/file_digests.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "packer/input_file.h"

namespace holdall::packer {
namespace {

constexpr std::size_t kPiece = 256 * 1024;  // is still in the cache when it is hashed

class Digester {
 public:
  explicit Digester(const std::vector<std::string>& paths)
      : paths_(paths), digests_(paths.size()), order_(paths.size()) {
    // The largest first, so that no thread is left with one at the end.
    std::vector<std::uint64_t> sizes;
    for (const std::string& path : paths) sizes.push_back(InputFile(path).size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::ranges::stable_sort(order_, std::greater{}, [&](std::size_t i) { return sizes[i]; });
  }

  std::vector<bundle::Digest> run(const std::function<void()>& check) {
    std::vector<std::thread> threads;
    const std::size_t wanted = std::min<std::size_t>(std::thread::hardware_concurrency(), order_.size());
    for (std::size_t i = 1; i < wanted; ++i) threads.emplace_back([this] { work({}); });
    work(check);
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(digests_);
  }

 private:
  void work(const std::function<void()>& check) noexcept {
    try {
      std::vector<std::byte> buffer(kPiece);
      for (std::size_t i; (i = next_++) < order_.size();) digest(order_[i], buffer, check);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      stopped_ = true;
    }
  }

  void digest(std::size_t index, std::vector<std::byte>& buffer, const std::function<void()>& check) {
    const InputFile file(paths_[index]);
    bundle::Sha256 hash;
    for (std::uint64_t at = 0; !stopped_;) {
      if (check) check();
      const std::size_t count = file.read_some(at, buffer);
      if (count == 0) break;
      hash.update(std::span(buffer).first(count));
      at += count;
    }
    digests_[index] = hash.finish();
  }

  const std::vector<std::string>& paths_;
  std::vector<bundle::Digest> digests_;
  std::vector<std::size_t> order_;
  std::atomic<std::size_t> next_{0};  // in order_
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

std::vector<bundle::Digest> file_digests(const std::vector<std::string>& paths, const std::function<void()>& check) {
  return Digester(paths).run(check);
}

}  // namespace holdall::packer
