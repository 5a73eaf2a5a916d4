#include "bundle/relocation_json.h"

#include <algorithm>
#include <array>

#include "bundle/error.h"
#include "bundle/limits.h"

namespace holdall::bundle {

using nlohmann::json;

namespace {

struct KindName {
  RelocationKind kind;
  std::string_view name;
};
constexpr std::array kKinds{KindName{RelocationKind::kText, "text"}, KindName{RelocationKind::kBinary, "binary"},
                            KindName{RelocationKind::kShebang, "shebang"},
                            KindName{RelocationKind::kInterpreter, "interpreter"}};

bool has_capacity(const Relocation& record) {
  return record.kind == RelocationKind::kBinary || record.kind == RelocationKind::kShebang;
}

Relocation relocation_of(const JsonView& item) {
  Relocation record;
  const std::size_t fields = item.size();
  const std::string name = fields > 0 ? item.at(0).string() : "";
  const auto kind = std::ranges::find(kKinds, name, &KindName::name);
  if (kind == kKinds.end()) item.fail("its kind is none of text, binary, shebang, interpreter");
  record.kind = kind->kind;
  const std::size_t plain = has_capacity(record) ? 4 : 3;
  if (fields != plain && fields != plain + 1) {
    item.fail(
        "expected [kind, offset, length], a capacity if it is binary or shebang, and the encoding unless it is 8bit");
  }
  record.offset = item.at(1).number(kMaxFileBytes);
  record.length = static_cast<std::uint32_t>(item.at(2).number(kMaxPathBytes * 4));
  if (plain == 4) record.capacity = static_cast<std::uint32_t>(item.at(3).number(kMaxFrameContent));
  if (record.kind == RelocationKind::kInterpreter) record.capacity = record.length;
  if (fields > plain) {
    const std::string encoding = item.at(plain).string();
    const auto* const known = std::ranges::find(kTextEncodings, encoding, &name_of);
    if (known == kTextEncodings.end() || *known == TextEncoding::k8Bit || record.kind == RelocationKind::kShebang ||
        record.kind == RelocationKind::kInterpreter)
      item.fail("unexpected encoding '" + encoding.substr(0, 20) + "'");
    record.encoding = *known;
  }
  return record;
}

}  // namespace

json json_of(const std::vector<Relocation>& records) {
  json list = json::array();
  for (const Relocation& record : records) {
    json item = json::array();
    item.push_back(std::ranges::find(kKinds, record.kind, &KindName::kind)->name);
    item.push_back(record.offset);
    item.push_back(record.length);
    if (has_capacity(record)) item.push_back(record.capacity);
    if (record.encoding != TextEncoding::k8Bit) item.push_back(name_of(record.encoding));
    list.push_back(std::move(item));
  }
  return list;
}

std::vector<Relocation> relocations_of(const JsonView& list, std::uint64_t file_size) {
  std::vector<Relocation> records;
  for (std::size_t i = 0; i < list.size(); ++i) records.push_back(relocation_of(list.at(i)));
  try {
    check_relocations(records, file_size);
  } catch (const Error& error) {
    list.fail(error.what());
  }
  return records;
}

}  // namespace holdall::bundle
