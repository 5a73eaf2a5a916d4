#include "packer/json_schema.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <regex>

#include "bundle/error.h"

namespace holdall::packer {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepest = 64;

std::string kind_of(const Json& value) {
  if (value.is_number_integer()) return "integer";
  return value.type_name();  // object, array, string, boolean, number, null
}

std::string plural(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

class Checker {
 public:
  void check(const Json& schema, const Json& value, const std::string& pointer) {
    refuse_unknown_keywords(schema);
    if (schema.contains("type") && !is_type(value, schema["type"])) {
      fault(pointer, "is " + kind_of(value) + ", must be " + schema["type"].get<std::string>());
      return;
    }
    if (schema.contains("enum") && std::ranges::find(schema["enum"], value) == schema["enum"].end()) {
      std::string choices;
      for (const Json& choice : schema["enum"]) choices += (choices.empty() ? "" : " or ") + choice.dump();
      fault(pointer, "is " + value.dump() + ", must be " + choices);
    }
    if (value.is_string()) check_string(schema, value.get_ref<const std::string&>(), pointer);
    if (value.is_number()) check_number(schema, value, pointer);
    if (value.is_array()) check_array(schema, value, pointer);
    if (value.is_object()) check_object(schema, value, pointer);
  }

  std::vector<JsonFault> faults;

 private:
  void fault(const std::string& pointer, const std::string& message) { faults.push_back({pointer, message}); }

  static void refuse_unknown_keywords(const Json& schema) {
    static constexpr std::array<std::string_view, 17> kKnown{
        "$schema", "title",    "description", "type",    "properties", "required",  "additionalProperties",
        "items",   "minItems", "enum",        "pattern", "minLength",  "maxLength", "minimum",
        "maximum", "default",  "examples"};
    for (const auto& [key, ignored] : schema.items()) {
      if (std::ranges::find(kKnown, key) == kKnown.end()) {
        throw bundle::Error(bundle::ErrorKind::kInternal, "the schema uses '" + key + "', which is not implemented");
      }
    }
  }

  static bool is_type(const Json& value, const std::string& type) {
    return kind_of(value) == type || (type == "number" && value.is_number());
  }

  void check_string(const Json& schema, const std::string& text, const std::string& pointer) {
    if (text.size() < schema.value("minLength", std::size_t{0})) fault(pointer, "is too short");
    if (schema.contains("maxLength") && text.size() > schema["maxLength"].get<std::size_t>())
      fault(pointer, "is too long");
    if (schema.contains("pattern") && !std::regex_search(text, std::regex(schema["pattern"].get<std::string>()))) {
      fault(pointer, "is '" + text + "', must match " + schema["pattern"].get<std::string>());
    }
  }

  void check_number(const Json& schema, const Json& value, const std::string& pointer) {
    if (schema.contains("minimum") && value < schema["minimum"]) {
      fault(pointer, "is " + value.dump() + ", must be at least " + schema["minimum"].dump());
    }
    if (schema.contains("maximum") && value > schema["maximum"]) {
      fault(pointer, "is " + value.dump() + ", must be at most " + schema["maximum"].dump());
    }
  }

  void check_array(const Json& schema, const Json& value, const std::string& pointer) {
    const auto least = schema.value("minItems", std::size_t{0});
    if (value.size() < least) fault(pointer, "must have at least " + plural(least, "element"));
    if (!schema.contains("items")) return;
    for (std::size_t i = 0; i < value.size(); ++i) check(schema["items"], value[i], pointer + "/" + std::to_string(i));
  }

  void check_object(const Json& schema, const Json& value, const std::string& pointer) {
    const Json properties = schema.value("properties", Json::object());
    for (const Json& name : schema.value("required", Json::array())) {
      if (!value.contains(name.get<std::string>())) fault(pointer, "lacks " + name.dump());
    }
    for (const auto& [key, element] : value.items()) {
      std::string escaped;  // RFC 6901
      for (const char c : key) escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
      const std::string place = pointer + "/" + escaped;
      if (properties.contains(key)) {
        check(properties[key], element, place);
      } else if (schema.contains("additionalProperties")) {
        const Json& others = schema["additionalProperties"];
        if (others.is_object()) {
          check(others, element, place);
        } else if (!others.get<bool>()) {
          fault(place, "is not a field of a manifest");
        }
      }
    }
  }
};

}  // namespace

std::vector<JsonFault> check_schema(std::string_view schema, std::string_view document) {
  Json value;
  try {
    bool too_deep = false;  // what is too deep is dropped while parsing: copying and printing recurse
    value = Json::parse(document, [&too_deep](int depth, Json::parse_event_t, const Json&) {
      too_deep |= depth > kDeepest;
      return depth <= kDeepest;
    });
    if (too_deep) return {{"", "has more than " + std::to_string(kDeepest) + " levels"}};
  } catch (const Json::parse_error& error) {
    const std::string_view before = document.substr(0, error.byte == 0 ? 0 : error.byte - 1);
    const auto line = std::ranges::count(before, '\n') + 1;
    const std::size_t column = before.size() - (before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1) + 1;
    return {{"", "is not JSON: line " + std::to_string(line) + ", column " + std::to_string(column)}};
  }
  Checker checker;
  checker.check(Json::parse(schema), value, "");
  return checker.faults;
}

}  // namespace holdall::packer
