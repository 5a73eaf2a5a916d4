#include "bundle/threads.h"

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

namespace holdall::bundle {

void run_in_threads(unsigned wanted, const std::function<void(unsigned)>& body) {
  std::vector<std::jthread> others;
  try {
    for (unsigned i = 1; i < wanted; ++i) others.emplace_back([&body, i] { body(i); });
  } catch (const std::system_error&) {  // EAGAIN: a limit on threads or memory
  }
  body(0);
}

unsigned thread_count(unsigned wanted) {
  return wanted != 0 ? wanted : std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace holdall::bundle
