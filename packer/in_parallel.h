// The same work for each of many items, on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace holdall::packer {

// Calls work(i) for every i below `count`, each once, in any order, on as many as `threads` threads (0: one for each
// processor), the caller's among them. After the first exception none is begun any more; it is thrown here, once all
// threads have ended.
void in_parallel(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& work);

}  // namespace holdall::packer
