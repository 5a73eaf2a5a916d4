#include "bundle/json_checks.h"

#include <algorithm>

#include "bundle/error.h"

namespace holdall::bundle {

using nlohmann::json;

void JsonGuard::operator()(int depth, json::parse_event_t event, const json& parsed) {
  const auto fail = [&](const std::string& reason) { throw Error(ErrorKind::kBadBundle, subject_ + ": " + reason); };
  using Event = json::parse_event_t;
  if (depth > limits_.max_depth) fail("nested deeper than " + std::to_string(limits_.max_depth));
  const bool is_value = event == Event::value || event == Event::object_start || event == Event::array_start;
  if (is_value && ++values_ > limits_.max_values) fail("more than " + std::to_string(limits_.max_values) + " values");
  if (event == Event::object_start) keys_.emplace_back();
  if (event == Event::object_end) keys_.pop_back();
  if (event == Event::key) {
    auto& seen = keys_.back();
    const auto& key = parsed.get_ref<const std::string&>();
    if (seen.size() == limits_.max_keys) fail("an object of over " + std::to_string(limits_.max_keys) + " keys");
    const auto place = std::lower_bound(seen.begin(), seen.end(), key);
    if (place != seen.end() && *place == key) fail("key '" + key.substr(0, 80) + "' is given twice");
    seen.insert(place, key);
  }
}

void JsonView::fail(const std::string& reason) const {
  throw Error(ErrorKind::kBadBundle, subject_ + ": " + (pointer_.empty() ? "" : pointer_ + ": ") + reason);
}

bool JsonView::has(std::string_view key) const {
  return value_->contains(key);
}

JsonView JsonView::at(std::string_view key) const {
  const auto found = value_->find(key);
  if (found == value_->end()) fail("'" + std::string(key) + "' is missing");
  std::string pointer = pointer_ + '/';  // RFC 6901: ~ and / are escaped
  for (const char c : key) {
    if (c == '~')
      pointer += "~0";
    else if (c == '/')
      pointer += "~1";
    else
      pointer += c;
  }
  return {*found, subject_, std::move(pointer)};
}

JsonView JsonView::at(std::size_t index) const {
  return {(*value_)[index], subject_, pointer_ + '/' + std::to_string(index)};
}

std::size_t JsonView::size() const {
  if (!value_->is_array()) fail("expected an array");
  return value_->size();
}

const JsonView& JsonView::object() const {
  if (!value_->is_object()) fail("expected an object");
  return *this;
}

std::string JsonView::string() const {
  if (!value_->is_string()) fail("expected a string");
  const auto& text = value_->get_ref<const std::string&>();
  if (text.find('\0') != std::string::npos) fail("has a NUL byte");
  return text;
}

bool JsonView::boolean() const {
  if (!value_->is_boolean()) fail("expected true or false");
  return value_->get<bool>();
}

std::uint64_t JsonView::number(std::uint64_t max) const {
  if (!value_->is_number_unsigned() || value_->get<std::uint64_t>() > max) {
    fail("expected a whole number" + (max == UINT64_MAX ? "" : " of at most " + std::to_string(max)));
  }
  return value_->get<std::uint64_t>();
}

std::vector<std::string> JsonView::strings() const {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < size(); ++i) values.push_back(at(i).string());
  return values;
}

}  // namespace holdall::bundle
