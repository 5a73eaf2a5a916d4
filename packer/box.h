// A value that few have: as std::optional, but of the size of a pointer where there is none. A box of a container is an
// empty one where there is none.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace holdall::packer {

template <class T>
class Box {
 public:
  Box() = default;
  Box(std::nullopt_t) {}                                           // NOLINT(google-explicit-constructor)
  Box(T value) : value_(std::make_unique<T>(std::move(value))) {}  // NOLINT(google-explicit-constructor)
  Box(std::optional<T> value) {                                    // NOLINT(google-explicit-constructor)
    if (value) value_ = std::make_unique<T>(*std::move(value));
  }
  Box(const Box& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Box(Box&&) noexcept = default;
  Box& operator=(Box other) noexcept {
    value_ = std::move(other.value_);
    return *this;
  }
  ~Box() = default;

  explicit operator bool() const { return value_ != nullptr; }
  bool has_value() const { return value_ != nullptr; }
  void reset() { value_.reset(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }
  const T& value() const {
    if (!value_) throw std::bad_optional_access();
    return *value_;
  }
  std::optional<T> optional() const { return value_ ? std::optional<T>(*value_) : std::nullopt; }
  bool empty() const { return !value_ || value_->empty(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace holdall::packer
