#include "packer/inputs/conda_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bundle/error.h"
#include "packer/trimmed.h"

namespace holdall::packer {
namespace {

using nlohmann::json;
using Event = json::parse_event_t;

constexpr int kMaxDepth = 64;

[[noreturn]] void broken(const std::string& path, const std::string& why) {
  throw bundle::Error(bundle::ErrorKind::kCannotPack,
                      "cannot use '" + path + "': " + why + ": reinstall the package it belongs to");
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

PrefixUse use_of(const std::string& mode, const std::string& path) {
  if (mode == "text") return PrefixUse::kText;
  if (mode == "binary") return PrefixUse::kBinary;
  broken(path, "the mode of a prefix is '" + mode + "', must be text or binary");
}

CondaPath parse_path(const json& item, const std::string& path) {
  CondaPath result;
  result.path = text_of(item, "_path");
  if (result.path.empty()) broken(path, "a path has no name");
  result.placeholder = text_of(item, "prefix_placeholder");
  if (!result.placeholder.empty()) result.use = use_of(text_of(item, "file_mode"), path);
  std::string digest = text_of(item, "sha256_in_prefix");
  if (digest.empty() && result.use == PrefixUse::kNone) digest = text_of(item, "sha256");
  try {
    if (!digest.empty()) result.digest = bundle::parse_digest(digest);
  } catch (const bundle::Error& error) {
    broken(path, std::string("of '") + result.path + "': " + error.what());
  }
  return result;
}

// Parses JSON that may hold a million paths: the items of `array` (in the object called `inside`, or in the outermost
// one) go to `take` one by one and are dropped from the result.
json parse_dropping(std::string_view text, const std::string& path, const std::string& inside, const std::string& array,
                    const std::function<void(const json&)>& take) {
  std::string outer, inner;  // keys of the outermost object and of the one in it
  const int item_depth = inside.empty() ? 2 : 3;
  const auto callback = [&](int depth, Event event, json& parsed) {
    if (depth > kMaxDepth) broken(path, "it is nested too deeply");
    if (event == Event::key && depth == 1) outer = parsed.get<std::string>();
    if (event == Event::key && depth == 2) inner = parsed.get<std::string>();
    const bool is_item = depth == item_depth && (event == Event::object_end || event == Event::value) &&
                         (inside.empty() ? outer == array : outer == inside && inner == array);
    if (is_item) take(parsed);
    return !is_item;
  };
  try {
    json document = json::parse(text, callback);
    if (!document.is_object()) broken(path, "it is no JSON object");
    return document;
  } catch (const json::exception& error) {
    broken(path, std::string("it is not valid JSON: ") + error.what());
  }
}

}  // namespace

CondaRecord parse_conda_record(std::string_view text, const std::string& path) {
  CondaRecord record;
  const json document = parse_dropping(text, path, "paths_data", "paths", [&](const json& item) {
    if (!item.is_object()) broken(path, "a path of paths_data is no object");
    record.paths.push_back(parse_path(item, path));
    record.has_paths = true;
  });
  record.name = text_of(document, "name");
  record.version = text_of(document, "version");
  record.build = text_of(document, "build");
  record.site_packages = text_of(document, "python_site_packages_path");
  record.noarch_python = text_of(document, "noarch") == "python";
  record.channel = text_of(document, "channel");
  record.platform = text_of(document, "subdir");
  record.file_name = text_of(document, "fn");
  record.licence = text_of(document, "license");
  record.sha256 = text_of(document, "sha256");
  record.md5 = text_of(document, "md5");
  if (const auto depends = document.find("depends"); depends != document.end() && depends->is_array()) {
    for (const json& spec : *depends)
      if (spec.is_string()) record.depends.push_back(spec.get<std::string>());
  }
  if (record.name.empty()) broken(path, "it has no name");
  if (const auto link = document.find("link"); link != document.end() && link->is_object()) {
    record.link_source = text_of(*link, "source");
  }
  if (record.link_source.empty()) record.link_source = text_of(document, "extracted_package_dir");
  if (const auto files = document.find("files"); files != document.end()) {
    if (!files->is_array()) broken(path, "its files are no list");
    record.files.reserve(files->size());
    for (const json& file : *files) {
      if (!file.is_string()) broken(path, "a file's name is no string");
      record.files.push_back(file.get<std::string>());
    }
  }
  return record;
}

std::string without_credentials(std::string address) {
  if (const std::size_t scheme = address.find("://"); scheme != address.npos) {
    const std::size_t authority = scheme + 3;
    address.erase(std::min(address.find('?', authority), address.size()));
    const std::size_t at = address.substr(0, address.find('/', authority)).rfind('@');
    if (at != address.npos && at >= authority) address.erase(authority, at + 1 - authority);
  }
  if (const std::size_t token = address.find("/t/"); token != address.npos)
    address.erase(token, std::min(address.find('/', token + 3), address.size()) - token);
  return address;
}

std::vector<CondaPath> parse_paths_json(std::string_view text, const std::string& path) {
  std::vector<CondaPath> paths;
  const json document = parse_dropping(text, path, "", "paths", [&](const json& item) {
    if (!item.is_object()) broken(path, "a path is no object");
    paths.push_back(parse_path(item, path));
    if (paths.back().use != PrefixUse::kNone) paths.back().digest.reset();  // that of the file before conda rewrote it
  });
  const auto version = document.find("paths_version");
  if (version == document.end() || *version != 1) broken(path, "its paths_version is not 1");
  return paths;
}

std::vector<CondaPath> parse_files_list(std::string_view files) {
  std::vector<CondaPath> paths;
  while (!files.empty()) {
    const std::size_t end = std::min(files.find('\n'), files.size());
    const std::string_view line = trimmed(files.substr(0, end));
    files.remove_prefix(std::min(end + 1, files.size()));
    if (line.empty()) continue;
    paths.push_back({.path = std::string(line), .use = PrefixUse::kNone, .placeholder = {}, .digest = {}});
  }
  return paths;
}

std::vector<CondaPath> parse_has_prefix(std::string_view text, const std::string& path) {
  std::vector<CondaPath> paths;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::vector<std::string> words;
    for (std::size_t at = 0; at < line.size();) {
      const char c = line[at];
      if (c == ' ' || c == '\t' || c == '\r') {
        ++at;
        continue;
      }
      const bool quoted = c == '"' || c == '\'';
      const std::size_t start = quoted ? at + 1 : at;
      const std::size_t stop = quoted ? line.find(c, start) : std::min(line.find_first_of(" \t\r", at), line.size());
      if (stop == line.npos) broken(path, "a quote is not closed");
      words.emplace_back(line.substr(start, stop - start));
      at = quoted ? stop + 1 : stop;
    }
    if (words.empty()) continue;
    if (words.size() == 1) {
      paths.push_back({.path = words[0],
                       .use = PrefixUse::kText,
                       .placeholder = std::string(kCondaPlaceholderStart).append(kCondaPlaceholderEnd),
                       .digest = {}});
    } else if (words.size() == 3 && !words[0].empty()) {
      paths.push_back({.path = words[2], .use = use_of(words[1], path), .placeholder = words[0], .digest = {}});
    } else {
      broken(path, "a line has " + std::to_string(words.size()) + " words, must have one or three");
    }
  }
  return paths;
}

bool parse_is_noarch_python(std::string_view text, const std::string& path) {
  const json document = parse_dropping(text, path, "", "", [](const json&) {});
  const auto noarch = document.find("noarch");
  return noarch != document.end() && noarch->is_object() && text_of(*noarch, "type") == "python";
}

}  // namespace holdall::packer
