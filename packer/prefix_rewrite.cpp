#include "packer/prefix_rewrite.h"

#include <algorithm>
#include <filesystem>

#include "packer/needle_search.h"
#include "packer/path_boundary.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

bool is_script_folder(const fs::path& bundle_path) {
  const fs::path folder = bundle_path.parent_path();
  return std::ranges::any_of(folder,
                             [](const fs::path& part) { return part == "bin" || part == "sbin" || part == "libexec"; });
}

std::string_view line_at(std::string_view contents, std::size_t from) {
  return contents.substr(from, std::min(contents.find('\n', from), contents.size()) - from);
}

}  // namespace

std::optional<std::string> relocatable_shebang(std::string_view contents, const std::vector<std::string>& prefixes,
                                               const std::string& bundle_path) {
  if (!contents.starts_with("#!") || !is_script_folder(bundle_path)) return std::nullopt;
  const std::string_view line = line_at(contents, 0);
  const std::size_t path_at = std::min(line.find_first_not_of(" \t", 2), line.size());
  const std::string_view command = line.substr(path_at);
  for (const std::string& prefix : prefixes) {
    if (!command.starts_with(prefix + "/")) continue;
    const std::size_t end = std::min(command.find_first_of(" \t\r", prefix.size()), command.size());
    const std::string interpreter(command.substr(prefix.size() + 1, end - prefix.size() - 1));
    if (!fs::path(interpreter).filename().string().starts_with("python")) return std::nullopt;
    if (interpreter.find_first_of("'\\") != interpreter.npos) return std::nullopt;  // would end the literal below
    const std::string_view second = line_at(contents, std::min(line.size() + 1, contents.size()));
    if (second.starts_with("#") && second.find("coding") != second.npos) return std::nullopt;
    if (contents.find("__doc__") != contents.npos || contents.find("from __future__") != contents.npos) {
      return std::nullopt;
    }
    std::string_view options = command.substr(end);
    const std::size_t first = options.find_first_not_of(" \t\r");
    options = first == options.npos ? std::string_view()
                                    : options.substr(first, options.find_last_not_of(" \t\r") + 1 - first);
    const std::string beside = fs::path(interpreter).lexically_relative(fs::path(bundle_path).parent_path()).string();
    // Python sees one string literal; the shell sees exec with the script's own folder in front of the interpreter.
    return "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'" + beside + "'" +
           (options.empty() ? "" : " " + std::string(options)) + " \"$0\" \"$@\"\n' '''";
  }
  return std::nullopt;
}

std::optional<RewrittenText> rewrite_text(std::string_view contents, const std::vector<std::string>& prefixes,
                                          const std::string& bundle_path) {
  if (prefixes.empty() || contents.find('\0') != contents.npos) return std::nullopt;
  const NeedleSearch search(prefixes);
  const auto at_boundary = [&](NeedleHit hit) {
    return is_path_at(contents, hit.position, prefixes[hit.needle].size());
  };
  NeedleHit hit = search.next(contents, 0, at_boundary);
  if (hit.position == contents.npos) return std::nullopt;

  RewrittenText result;
  std::size_t done = 0;
  if (const auto shebang = relocatable_shebang(contents, prefixes, bundle_path)) {
    result.contents = *shebang;
    done = line_at(contents, 0).size();
    hit = search.next(contents, done, at_boundary);
  }
  while (hit.position != contents.npos) {
    result.contents.append(contents, done, hit.position - done);
    result.relocations.push_back({bundle::RelocationKind::kText, result.contents.size(),
                                  static_cast<std::uint32_t>(bundle::kPlaceholder.size()), 0});
    result.contents.append(bundle::kPlaceholder);
    done = hit.position + prefixes[hit.needle].size();
    hit = search.next(contents, done, at_boundary);
  }
  result.contents.append(contents, done, contents.npos);
  return result;
}

}  // namespace holdall::packer
