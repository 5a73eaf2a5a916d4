// A component's JSON file (config.json, scheduler_config.json, model_index.json, holdall.json), read field by field so
// that every complaint names the file and the field's JSON pointer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace holdall::runtime::weights {

class Config {
 public:
  // Throws runtime::Error{kNotFound} if `file` does not exist, {kStorage} if it cannot be read, {kBadModel} if it is no
  // JSON object.
  static Config read(const std::filesystem::path& file);
  // What came by another way than a file; `name` stands for the file in messages. Throws {kBadModel} as read() does.
  static Config parse(const std::string& text, const std::filesystem::path& name);
  Config(Config&&) noexcept;
  ~Config();

  // T: bool, std::int64_t, double, std::string, or a vector of one of them. `pointer` as in RFC 6901, e.g.
  // "/golden/seed". A field of another type throws Error{kBadModel}. find() gives nullopt for an absent field and for
  // null.
  template <class T>
  std::optional<T> find(const std::string& pointer) const;
  // Throws Error{kBadModel} also if the field is absent.
  template <class T>
  T get(const std::string& pointer) const;
  template <class T>
  T get(const std::string& pointer, T fallback) const {
    auto value = find<T>(pointer);
    return value ? *std::move(value) : std::move(fallback);
  }
  // A whole number from 1 to 2^24: a size of something that will be allocated.
  std::int64_t dimension(const std::string& pointer) const;
  std::int64_t dimension(const std::string& pointer, std::int64_t fallback) const;
  // Whether the field is there and is not null.
  bool has(const std::string& pointer) const;
  bool is_list(const std::string& pointer) const;
  // How many elements the array at `pointer` has; 0 if it is absent.
  std::size_t count(const std::string& pointer) const;

  // Throws Error{kBadModel} unless `_class_name` is `name`: what is unknown is refused, by name.
  void require_class(const std::string& name) const;
  // Throws Error{kBadModel}: "cannot use '<file>': '<pointer>' <complaint>".
  [[noreturn]] void refuse(const std::string& pointer, const std::string& complaint) const;

  const std::filesystem::path& file() const noexcept { return file_; }

 private:
  struct Document;
  Config(std::filesystem::path file, std::unique_ptr<Document> document);
  std::filesystem::path file_;
  std::unique_ptr<Document> document_;
};

}  // namespace holdall::runtime::weights
