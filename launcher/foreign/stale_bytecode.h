// Compiled Python names its source's time. All files of a bundle have one time, so what was up to date has to name that
// one: else Python compiles everything anew at each start, and writes into the tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace holdall::launcher {

inline constexpr std::size_t kBytecodeHeader = 16;  // PEP 552: magic, flags, time of the source, its size

// The source of a "…/__pycache__/name.cpython-311.pyc"; nullopt: another kind of file.
std::optional<std::string> source_of_bytecode(std::string_view path);

// If `header` says that it is valid by the source's time and that this is `source_mtime`, it gets `mtime` instead.
// `step`: the archive's times are multiples of so many seconds, rounded down, or exact.
void renew_bytecode(std::span<std::byte, kBytecodeHeader> header, std::int64_t source_mtime, std::int64_t mtime,
                    std::uint32_t step = 1);

}  // namespace holdall::launcher
