#include "launcher/foreign/stale_bytecode.h"

namespace holdall::launcher {
namespace {

constexpr std::size_t kFlagsAt = 4, kTimeAt = 8;

std::uint32_t word_at(std::span<const std::byte, kBytecodeHeader> header, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(header[at + i]);
  return value;
}

}  // namespace

std::optional<std::string> source_of_bytecode(std::string_view path) {
  constexpr std::string_view kCache = "__pycache__/";
  const std::size_t slash = path.rfind('/');
  if (!path.ends_with(".pyc") || slash == std::string_view::npos) return std::nullopt;
  std::string_view folder = path.substr(0, slash + 1);
  const std::string_view name = path.substr(slash + 1);
  if (folder != kCache && !folder.ends_with("/__pycache__/")) return std::nullopt;
  folder.remove_suffix(kCache.size());
  return std::string(folder) + std::string(name.substr(0, name.find('.'))) + ".py";
}

void renew_bytecode(std::span<std::byte, kBytecodeHeader> header, std::int64_t source_mtime, std::int64_t mtime,
                    std::uint32_t step) {
  const std::uint32_t named = word_at(header, kTimeAt), known = static_cast<std::uint32_t>(source_mtime);
  if (word_at(header, kFlagsAt) != 0 || (named != known && named - named % step != known)) return;
  for (std::size_t i = 0; i < 4; ++i)
    header[kTimeAt + i] = static_cast<std::byte>(static_cast<std::uint64_t>(mtime) >> (8 * i));
}

}  // namespace holdall::launcher
