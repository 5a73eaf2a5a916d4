#include "packer/text.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>

namespace holdall::packer {

struct Text::Shared {
  std::atomic<std::uint32_t> users{1};
  std::uint32_t size = 0;
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
};

Text::Text(std::string_view text) {
  if (text.empty()) return;
  if (text.size() > std::numeric_limits<std::uint32_t>::max()) throw std::length_error("a text of more than 4 GiB");
  shared_ = new (::operator new(sizeof(Shared) + text.size())) Shared;
  shared_->size = static_cast<std::uint32_t>(text.size());
  std::memcpy(shared_->bytes(), text.data(), text.size());
}

Text::Text(const Text& other) noexcept : shared_(other.shared_) {
  if (shared_ != nullptr) shared_->users.fetch_add(1, std::memory_order_relaxed);
}

Text::~Text() {
  if (shared_ == nullptr || shared_->users.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  shared_->~Shared();
  ::operator delete(shared_);
}

std::string_view Text::view() const {
  return shared_ == nullptr ? std::string_view() : std::string_view(shared_->bytes(), shared_->size);
}

}  // namespace holdall::packer
