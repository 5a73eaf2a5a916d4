#include "launcher/foreign/written_prefix.h"

#include <cstdint>

namespace holdall::launcher {
namespace {

using bundle::RelocationKind;

PackedContents from_text(const std::string& contents, const std::string& prefix) {
  PackedContents result;
  std::size_t at = 0;
  for (std::size_t found = 0; (found = contents.find(prefix, at)) != std::string::npos; at = found + prefix.size()) {
    result.bytes.append(contents, at, found - at);
    result.relocations.push_back({.kind = RelocationKind::kText,
                                  .offset = result.bytes.size(),
                                  .length = static_cast<std::uint32_t>(bundle::kPlaceholder.size())});
    result.bytes += bundle::kPlaceholder;
  }
  result.bytes.append(contents, at);
  return result;
}

PackedContents from_binary(std::string contents, const std::string& prefix) {
  PackedContents result;
  const std::string ours = bundle::placeholder(prefix.size());
  std::size_t end = 0;  // of the string that the last occurrence lies in
  for (std::size_t at = 0; (at = contents.find(prefix, at)) != std::string::npos; at += prefix.size()) {
    if (at >= end) end = contents.find('\0', at + prefix.size());
    if (end == std::string::npos) break;
    contents.replace(at, prefix.size(), ours);
    result.relocations.push_back({.kind = RelocationKind::kBinary,
                                  .offset = at,
                                  .length = static_cast<std::uint32_t>(prefix.size()),
                                  .capacity = static_cast<std::uint32_t>(end - at)});
  }
  result.bytes = std::move(contents);
  return result;
}

}  // namespace

PackedContents take_prefix_out(std::string contents, const PrefixRecord& record) {
  return record.binary ? from_binary(std::move(contents), record.placeholder) : from_text(contents, record.placeholder);
}

}  // namespace holdall::launcher
