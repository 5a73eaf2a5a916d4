// Checks a JSON document against a JSON Schema, with the keywords that manifests/schema.json uses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdall::packer {

struct JsonFault {
  std::string pointer;  // JSON pointer into the document; "" is the whole
  std::string message;
};

// Every fault, in the document's order. Understands type, properties, required, additionalProperties, items, minItems,
// enum, pattern, minLength, maxLength, minimum and maximum; any other keyword that could constrain is an
// Error{kInternal}, so that a schema is never half applied. A document that is not JSON is one fault with line and
// column.
std::vector<JsonFault> check_schema(std::string_view schema, std::string_view document);

}  // namespace holdall::packer
