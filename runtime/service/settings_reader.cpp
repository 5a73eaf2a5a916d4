#include "runtime/service/settings_reader.h"

#include <cstdlib>
#include <sstream>

#include "runtime/error.h"
#include "runtime/weights/json.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::json;

std::string shortened(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 60) + "…" : text;
}

// RFC 6901.
std::string escaped(const std::string& name) {
  return json::json_pointer("").operator/=(name).to_string();
}

}  // namespace

Section Section::read(const std::filesystem::path& file) {
  const std::string subject = "'" + file.string() + "'";
  try {
    return {file.string(), "", weights::parse_object(weights::read_text(file), subject)};
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadModel) throw;
    throw Error(ErrorKind::kBadRequest, error.what());
  }
}

Section Section::section(const std::string& name) {
  json value = take(name);
  if (value.is_null()) value = json::object();
  if (!value.is_object()) refuse(name, "is " + shortened(value) + ", needed an object");
  return {file_, pointer_ + escaped(name), std::move(value)};
}

std::vector<Section> Section::list(const std::string& name) {
  json value = take(name);
  if (value.is_null()) return {};
  if (!value.is_array()) refuse(name, "is " + shortened(value) + ", needed a list");
  std::vector<Section> sections;
  for (json& element : value) {
    const std::string pointer = pointer_ + escaped(name) + "/" + std::to_string(sections.size());
    if (!element.is_object())
      throw Error(ErrorKind::kBadRequest,
                  "cannot use '" + file_ + "': '" + pointer + "' is " + shortened(element) + ", needed an object");
    sections.push_back({file_, pointer, std::move(element)});
  }
  return sections;
}

std::optional<std::string> Section::text(const std::string& name) {
  const json value = take(name);
  if (value.is_null()) return std::nullopt;
  if (!value.is_string()) refuse(name, "is " + shortened(value) + ", needed a string");
  return value.get<std::string>();
}

std::optional<std::string> Section::environment(const std::string& name) {
  const auto variable = text(name);
  if (!variable || variable->empty()) return std::nullopt;
  const char* const value = std::getenv(variable->c_str());
  if (value == nullptr || *value == '\0')
    refuse(name, "names '" + *variable + "', which the environment does not have: set it, or leave the option out");
  return value;
}

std::vector<std::string> Section::texts(const std::string& name) {
  const json value = take(name);
  if (value.is_null()) return {};
  if (!value.is_array()) refuse(name, "is " + shortened(value) + ", needed a list of strings");
  for (const json& element : value)
    if (!element.is_string()) refuse(name, "has " + shortened(element) + ", needed strings only");
  return value.get<std::vector<std::string>>();
}

std::optional<double> Section::number(const std::string& name, double low, double high) {
  const json value = take(name);
  if (value.is_null()) return std::nullopt;
  if (value.is_number() && value.get<double>() >= low && value.get<double>() <= high) return value.get<double>();
  std::ostringstream range;
  range << low << " to " << high;
  refuse(name, "is " + shortened(value) + ", needed a number from " + range.str());
}

std::optional<std::uint64_t> Section::whole(const std::string& name, std::uint64_t low, std::uint64_t high) {
  const json value = take(name);
  if (value.is_null()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() >= low && value.get<std::uint64_t>() <= high)
    return value.get<std::uint64_t>();
  refuse(name, "is " + shortened(value) + ", needed a whole number from " + std::to_string(low) + " to " +
                   std::to_string(high));
}

void Section::expect_empty() const {
  if (!fields_.empty()) refuse(fields_.begin().key(), "is not known");
}

void Section::refuse(const std::string& name, const std::string& complaint) const {
  throw Error(ErrorKind::kBadRequest, "cannot use '" + file_ + "': '" + pointer_ + escaped(name) + "' " + complaint);
}

json Section::take(const std::string& name) {
  const auto found = fields_.find(name);
  if (found == fields_.end()) return nullptr;
  json value = std::move(*found);
  fields_.erase(found);
  return value;
}

}  // namespace holdall::runtime::service
