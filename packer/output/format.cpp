#include "packer/output/format.h"

#include <algorithm>
#include <array>

#include "bundle/error.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

// PAX could say more than ustar's 33 bits, but format 1 does not. Zip's extended timestamp is a signed 32-bit number,
// squashfs's an unsigned one.
constexpr std::int64_t kTarTime = (std::int64_t{1} << 33) - 1;
constexpr std::int64_t kZipTime = (std::int64_t{1} << 31) - 1;
constexpr std::int64_t kSquashfsTime = (std::int64_t{1} << 32) - 1;

// Levels: conda-pack's, 0 to 9 with 4 as the default, where the compressor knows them. zstd's end at 19: above, it
// wants windows that not every decoder accepts.
constexpr std::array kFormats{
    FormatTraits{Format::kTarZst, "tar.zst", "tzst", 1, 3, 19, kTarTime},
    FormatTraits{Format::kTarGz, "tar.gz", "tgz", 0, 4, 9, kTarTime},
    FormatTraits{Format::kTarBz2, "tar.bz2", "tbz2", 1, 4, 9, kTarTime},
    FormatTraits{Format::kTarXz, "tar.xz", "txz", 0, 4, 9, kTarTime},
    FormatTraits{Format::kTar, "tar", nullptr, 0, 0, 19, kTarTime},
    FormatTraits{Format::kZip, "zip", nullptr, 0, 4, 9, kZipTime},
    FormatTraits{Format::kSquashfs, "squashfs", nullptr, 0, 4, 9, kSquashfsTime},
    FormatTraits{Format::kNoArchive, "no-archive", nullptr, 0, 0, 19, kTarTime},
};

std::string names() {
  std::string text;
  for (const FormatTraits& traits : kFormats) text += std::string(text.empty() ? "" : ", ") + traits.name;
  return text;
}

bool has_suffix(const std::string& output, const char* name) {
  return name != nullptr && output.ends_with(std::string(".") + name);
}

void refuse_parcel(bool is_parcel) {
  if (is_parcel) throw Error(ErrorKind::kUsage, "format 'parcel' is not offered: use one of " + names());
}

}  // namespace

const FormatTraits& traits_of(Format format) {
  return *std::ranges::find(kFormats, format, &FormatTraits::format);
}

ChosenFormat choose_format(std::string_view asked, const std::string& given, Format fallback) {
  // A folder is often written with a slash behind it.
  std::string output = given;
  while (output.size() > 1 && output.ends_with('/')) output.pop_back();
  refuse_parcel(asked == "parcel" || has_suffix(output, "parcel"));
  if (asked != "infer") {
    for (const FormatTraits& traits : kFormats) {
      if (asked == traits.name || (traits.short_name != nullptr && asked == traits.short_name)) {
        return {traits.format, std::string(asked)};
      }
    }
    throw Error(ErrorKind::kUsage, "format '" + std::string(asked) + "' is not known: use one of " + names());
  }
  if (output.empty()) return {fallback, traits_of(fallback).name};
  for (const FormatTraits& traits : kFormats) {
    if (has_suffix(output, traits.name) || has_suffix(output, traits.short_name)) return {traits.format, traits.name};
  }
  throw Error(ErrorKind::kUsage,
              "cannot tell a format from the name of the output '" + output + "': give --format, one of " + names());
}

int level_of(Format format, std::optional<int> asked) {
  const FormatTraits& traits = traits_of(format);
  const int level = asked.value_or(traits.default_level);
  if (level < traits.lowest_level || level > traits.highest_level) {
    throw Error(ErrorKind::kUsage, "--compress-level is " + std::to_string(level) + ", must be " +
                                       std::to_string(traits.lowest_level) + " to " +
                                       std::to_string(traits.highest_level) + " for " + traits.name);
  }
  return level;
}

std::string describe_levels() {
  std::string text;
  for (const FormatTraits& traits : kFormats) {
    if (traits.format == Format::kTar || traits.format == Format::kNoArchive) continue;
    text += std::string(text.empty() ? "" : ", ") + traits.name + " " + std::to_string(traits.lowest_level) + " to " +
            std::to_string(traits.highest_level) + " [" + std::to_string(traits.default_level) + "]";
  }
  return text + "; tar and no-archive know none";
}

}  // namespace holdall::packer
