#include "runtime/weights/config.h"

#include "runtime/error.h"
#include "runtime/weights/json.h"

namespace holdall::runtime::weights {

namespace {

using nlohmann::json;

template <class T>
struct Kind;
template <>
struct Kind<bool> {
  static std::string name() { return "true or false"; }
  static bool is(const json& value) { return value.is_boolean(); }
};
template <>
struct Kind<std::int64_t> {
  static std::string name() { return "a whole number"; }
  static bool is(const json& value) {
    return value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
  }
};
template <>
struct Kind<double> {
  static std::string name() { return "a number"; }
  static bool is(const json& value) { return value.is_number(); }
};
template <>
struct Kind<std::string> {
  static std::string name() { return "a string"; }
  static bool is(const json& value) { return value.is_string(); }
};
template <class T>
struct Kind<std::vector<T>> {
  static std::string name() { return "a list, each element " + Kind<T>::name(); }
  static bool is(const json& value) {
    if (!value.is_array()) return false;
    for (const auto& element : value)
      if (!Kind<T>::is(element)) return false;
    return true;
  }
};

std::string shortened(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 60) + "…" : text;
}

}  // namespace

struct Config::Document {
  json root;

  const json* at(const std::string& pointer) const {
    const json::json_pointer where(pointer);
    if (!root.contains(where)) return nullptr;
    const json& value = root.at(where);
    return value.is_null() ? nullptr : &value;
  }
};

Config::Config(std::filesystem::path file, std::unique_ptr<Document> document)
    : file_(std::move(file)), document_(std::move(document)) {}
Config::Config(Config&&) noexcept = default;
Config::~Config() = default;

Config Config::read(const std::filesystem::path& file) {
  return parse(read_text(file), file);
}

Config Config::parse(const std::string& text, const std::filesystem::path& name) {
  auto document = std::make_unique<Document>();
  document->root = parse_object(text, "'" + name.string() + "'");
  return Config(name, std::move(document));
}

template <class T>
std::optional<T> Config::find(const std::string& pointer) const {
  const json* value = document_->at(pointer);
  if (value == nullptr) return std::nullopt;
  if (!Kind<T>::is(*value)) refuse(pointer, "is " + shortened(*value) + ", needed " + Kind<T>::name());
  return value->get<T>();
}

template <class T>
T Config::get(const std::string& pointer) const {
  auto value = find<T>(pointer);
  if (!value) refuse(pointer, "is missing, needed " + Kind<T>::name());
  return *std::move(value);
}

#define HOLDALL_CONFIG_TYPE(...)                                                           \
  template std::optional<__VA_ARGS__> Config::find<__VA_ARGS__>(const std::string&) const; \
  template __VA_ARGS__ Config::get<__VA_ARGS__>(const std::string&) const
HOLDALL_CONFIG_TYPE(bool);
HOLDALL_CONFIG_TYPE(std::int64_t);
HOLDALL_CONFIG_TYPE(double);
HOLDALL_CONFIG_TYPE(std::string);
HOLDALL_CONFIG_TYPE(std::vector<bool>);
HOLDALL_CONFIG_TYPE(std::vector<std::int64_t>);
HOLDALL_CONFIG_TYPE(std::vector<double>);
HOLDALL_CONFIG_TYPE(std::vector<std::string>);
#undef HOLDALL_CONFIG_TYPE

std::int64_t Config::dimension(const std::string& pointer) const {
  const auto value = get<std::int64_t>(pointer);
  if (value < 1 || value > (std::int64_t{1} << 24))
    refuse(pointer, "is " + std::to_string(value) + ", needed a whole number from 1 to 16777216");
  return value;
}

std::int64_t Config::dimension(const std::string& pointer, std::int64_t fallback) const {
  return document_->at(pointer) == nullptr ? fallback : dimension(pointer);
}

bool Config::has(const std::string& pointer) const {
  return document_->at(pointer) != nullptr;
}

bool Config::is_list(const std::string& pointer) const {
  const json* value = document_->at(pointer);
  return value != nullptr && value->is_array();
}

std::size_t Config::count(const std::string& pointer) const {
  const json* value = document_->at(pointer);
  if (value == nullptr) return 0;
  if (!value->is_array()) refuse(pointer, "is " + shortened(*value) + ", needed a list");
  return value->size();
}

void Config::require_class(const std::string& name) const {
  const auto found = get<std::string>("/_class_name");
  if (found != name) refuse("/_class_name", "is '" + found + "', which is not supported here: needed '" + name + "'");
}

void Config::refuse(const std::string& pointer, const std::string& complaint) const {
  throw Error(ErrorKind::kBadModel, "cannot use '" + file_.string() + "': '" + pointer + "' " + complaint);
}

}  // namespace holdall::runtime::weights
