// A value that few have: as std::optional, but of the size of a pointer where there is none. A box of a container is an
// empty one where there is none. A list that few have: as std::vector, in the same way.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

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

template <class T>
class List {
 public:
  List() = default;
  List(std::vector<T> items) {  // NOLINT(google-explicit-constructor)
    if (!items.empty()) items_ = std::move(items);
  }
  List(std::initializer_list<T> items) : List(std::vector<T>(items)) {}

  const std::vector<T>& items() const {
    static const std::vector<T> kNone;
    return items_ ? *items_ : kNone;
  }
  operator const std::vector<T>&() const { return items(); }  // NOLINT(google-explicit-constructor)
  bool empty() const { return !items_; }
  std::size_t size() const { return items().size(); }
  auto begin() const { return items().begin(); }
  auto end() const { return items().end(); }
  const T& operator[](std::size_t index) const { return items()[index]; }
  const T& front() const { return items().front(); }
  void clear() { items_.reset(); }
  std::vector<T> take() {
    Box<std::vector<T>> taken = std::exchange(items_, {});
    return taken ? std::move(*taken) : std::vector<T>();
  }

 private:
  Box<std::vector<T>> items_;  // not empty
};

}  // namespace holdall::packer
