// As answer.c: an exception passes through a frame of this object, which the unwinder finds by its program headers.
#include <stdexcept>
#include <string>

extern "C" int neighbour(void);

namespace {
struct Guard {
  explicit Guard(int& counter) : counter_(counter) {}
  ~Guard() { counter_ += 1; }
  int& counter_;
};

[[gnu::noinline]] void fail(int value, int& counter) {
  const Guard guard(counter);
  if (value != 0) throw std::runtime_error(std::to_string(value));
}
}  // namespace

extern "C" int answer(void) {
  int counter = 0;
  try {
    fail(41 + neighbour(), counter);
  } catch (const std::runtime_error& error) {
    return std::stoi(error.what()) + counter;  // 42
  }
  return 0;
}
