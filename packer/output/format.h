// The archive formats, under conda-pack's names, and what of the options each of them knows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdall::packer {

enum class Format { kTarZst, kTarGz, kTarBz2, kTarXz, kTar, kZip, kSquashfs, kNoArchive };

struct FormatTraits {
  Format format;
  const char* name;        // "tar.gz"; with a dot before it, the suffix
  const char* short_name;  // "tgz"; null: there is none
  int lowest_level, default_level, highest_level;
  std::int64_t latest_mtime;  // that a member may have
};
const FormatTraits& traits_of(Format format);

struct ChosenFormat {
  Format format;
  std::string suffix;  // of a default name, as it was asked for: "tgz"
};

// `asked`: a name, a short name, or "infer": from `output`'s suffix, where there is no output `fallback`.
// Throws Error{kUsage}.
ChosenFormat choose_format(std::string_view asked, const std::string& output, Format fallback);

// The compression level: `asked`, or the format's own. Throws Error{kUsage}.
int level_of(Format format, std::optional<int> asked);

// "--compress-level" of every format, for people.
std::string describe_levels();

}  // namespace holdall::packer
