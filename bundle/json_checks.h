// Reading untrusted JSON: bounded depth, no duplicate keys, and faults that name their JSON pointer. Included by .cpp
// files only: no bundle header shows nlohmann's types.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::bundle {

// A parser callback that throws Error{kBadBundle} beyond `max_depth`, at a key given twice in one object, at an object
// of more than `max_keys` keys, and when there are more than `max_values` values: each takes 16 to 100 bytes of memory,
// and 2 of text. `subject` starts the message, e.g. "bad bundle.json".
class JsonGuard {
 public:
  struct Limits {
    int max_depth = 16;
    std::size_t max_keys = 4096;
    std::size_t max_values = 16'000'000;
  };
  JsonGuard(std::string subject, Limits limits) : subject_(std::move(subject)), limits_(limits) {}
  void operator()(int depth, nlohmann::json::parse_event_t event, const nlohmann::json& parsed);
  void forget_values() { values_ = 0; }  // for a caller that keeps none of those so far

 private:
  std::string subject_;
  Limits limits_;
  std::size_t values_ = 0;
  std::vector<std::vector<std::string>> keys_;  // of the objects that are open, outermost first
};

// A value with its place, for messages such as "bad bundle.json: /requires/cpu_level: expected a number".
class JsonView {
 public:
  JsonView(const nlohmann::json& value, std::string subject, std::string pointer = {})
      : value_(&value), subject_(std::move(subject)), pointer_(std::move(pointer)) {}

  [[noreturn]] void fail(const std::string& reason) const;
  const nlohmann::json& raw() const { return *value_; }

  bool has(std::string_view key) const;     // of an object
  JsonView at(std::string_view key) const;  // throws if it is missing
  JsonView at(std::size_t index) const;     // of an array
  std::size_t size() const;                 // of an array

  const JsonView& object() const;  // *this, if it is an object; else throws
  std::string string() const;
  bool boolean() const;
  std::uint64_t number(std::uint64_t max = UINT64_MAX) const;  // a whole number from 0 to max
  std::vector<std::string> strings() const;

 private:
  const nlohmann::json* value_;
  std::string subject_, pointer_;
};

}  // namespace holdall::bundle
