// A text that does not change and is shared by who copies it: a plan of a million files names each in several places,
// and has it in memory once.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace holdall::packer {

class Text {
 public:
  Text() = default;
  // Implicit: it is used as a string is.
  Text(std::string_view text);                                     // NOLINT(google-explicit-constructor)
  Text(const std::string& text) : Text(std::string_view(text)) {}  // NOLINT(google-explicit-constructor)
  Text(const char* text) : Text(std::string_view(text)) {}         // NOLINT(google-explicit-constructor)
  Text(const Text& other) noexcept;
  Text(Text&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  Text& operator=(Text other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~Text();

  std::string_view view() const;
  std::string str() const { return std::string(view()); }
  operator std::string_view() const { return view(); }  // NOLINT(google-explicit-constructor)
  operator std::string() const { return str(); }        // NOLINT(google-explicit-constructor)
  bool empty() const { return shared_ == nullptr; }
  bool starts_with(std::string_view text) const { return view().starts_with(text); }
  bool ends_with(std::string_view text) const { return view().ends_with(text); }
  std::size_t find(std::string_view text) const { return view().find(text); }
  std::size_t size() const { return view().size(); }

  friend bool operator==(const Text& one, const Text& other) { return one.view() == other.view(); }
  friend bool operator==(const Text& one, std::string_view other) { return one.view() == other; }
  friend bool operator==(const Text& one, const std::string& other) { return one.view() == other; }
  friend bool operator==(const Text& one, const char* other) { return one.view() == other; }
  friend auto operator<=>(const Text& one, const Text& other) { return one.view() <=> other.view(); }
  friend std::string operator+(const Text& one, std::string_view other) { return one.str().append(other); }
  friend std::string operator+(std::string one, const Text& other) { return std::move(one.append(other.view())); }
  friend std::string operator+(const char* one, const Text& other) { return std::string(one).append(other.view()); }
  friend std::ostream& operator<<(std::ostream& out, const Text& text) { return out << text.view(); }

 private:
  struct Shared;  // a count of its users, a size, the bytes
  Shared* shared_ = nullptr;
};

// A path of a folder and what lies in it: a million files of one folder name that once, and the rest as a Text that
// they may have already.
class JoinedPath {
 public:
  JoinedPath() = default;
  JoinedPath(Text folder, Text rest) : folder_(std::move(folder)), rest_(std::move(rest)) {}
  // Implicit: it is used as a string is.
  JoinedPath(Text path) : rest_(std::move(path)) {}                // NOLINT(google-explicit-constructor)
  JoinedPath(const std::string& path) : JoinedPath(Text(path)) {}  // NOLINT(google-explicit-constructor)
  JoinedPath(const char* path) : JoinedPath(Text(path)) {}         // NOLINT(google-explicit-constructor)

  bool empty() const { return rest_.empty(); }
  std::string str() const { return folder_.empty() ? rest_.str() : folder_ + "/" + rest_; }
  operator std::string() const { return str(); }  // NOLINT(google-explicit-constructor)

  friend bool operator==(const JoinedPath& one, std::string_view other) { return one.str() == other; }
  friend std::string operator+(const JoinedPath& one, std::string_view other) { return one.str().append(other); }
  friend std::string operator+(std::string one, const JoinedPath& other) { return std::move(one.append(other.str())); }
  friend std::string operator+(const char* one, const JoinedPath& other) { return one + other.str(); }
  friend std::ostream& operator<<(std::ostream& out, const JoinedPath& path) { return out << path.str(); }

 private:
  Text folder_, rest_;
};

}  // namespace holdall::packer
