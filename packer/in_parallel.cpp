#include "packer/in_parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "bundle/threads.h"

namespace holdall::packer {

void in_parallel(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto serve = [&]() noexcept {
    try {
      for (std::size_t i; (i = next++) < count;) work(i);
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  const std::size_t wanted = std::min<std::size_t>(bundle::thread_count(threads), count);
  bundle::run_in_threads(static_cast<unsigned>(wanted), [&](unsigned) { serve(); });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace holdall::packer
