// Threads that share work.
#pragma once

#include <functional>

namespace holdall::bundle {

// Runs body(0) in this thread and body(1) to body(wanted - 1) in others, and returns when all of them have. Each takes
// of the same work: where the system gives fewer threads, these do all of it. `body` must not throw.
void run_in_threads(unsigned wanted, const std::function<void(unsigned)>& body);

// `wanted`; 0: one for each processor.
unsigned thread_count(unsigned wanted);

}  // namespace holdall::bundle
