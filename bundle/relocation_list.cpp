#include "bundle/relocation_list.h"

#include <unordered_set>

#include "bundle/error.h"
#include "bundle/json_checks.h"
#include "bundle/limits.h"
#include "bundle/member_path.h"
#include "bundle/relocation_json.h"

namespace holdall::bundle {

using nlohmann::json;

namespace {

constexpr const char* kSubject = "bad relocations.json";
constexpr int kListVersion = 1;

RelocatedFile file_of(const JsonView& view) {
  RelocatedFile file;
  file.path = view.object().at("name").string();
  const std::uint64_t mode = view.at("mode").number();
  if (mode != 0755 && mode != 0644) view.fail("mode is neither 0755 nor 0644");
  file.executable = mode == 0755;
  file.size = view.at("size").number(kMaxFileBytes);
  try {
    file.digest = parse_digest(view.at("digest").string());
  } catch (const Error& error) {
    view.fail(error.what());
  }
  file.records = relocations_of(view.at("relocations"), file.size);
  if (file.records.empty()) view.fail("no relocations");
  return file;
}

}  // namespace

std::string to_json(const RelocationList& list) {
  std::string out = "{\"version\":" + std::to_string(kListVersion) + ",\"files\":[";
  const auto add = [&](const json& item) { out += (out.back() == '[' ? "\n" : ",\n") + item.dump(); };
  for (const RelocatedFile& file : list.files) {
    add({{"name", file.path},
         {"mode", file.executable ? 0755 : 0644},
         {"size", file.size},
         {"digest", to_string(file.digest)},
         {"relocations", json_of(file.records)}});
  }
  out += "\n],\"links\":[";
  for (const HostLink& link : list.links) add({{"name", link.path}, {"linkName", link.target}});
  return out + "\n]}\n";
}

RelocationList parse_relocation_list(std::string_view text) {
  if (text.size() > kMaxTocBytes)
    throw Error(ErrorKind::kBadBundle,
                std::string(kSubject) + ": larger than " + std::to_string(kMaxTocBytes) + " bytes");
  JsonGuard guard(kSubject, {.max_depth = 8, .max_keys = 64});
  const auto on_event = [&](int depth, json::parse_event_t event, json& parsed) {
    guard(depth, event, parsed);
    return true;
  };
  json document;
  try {
    document = json::parse(text, on_event);
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kBadBundle, std::string(kSubject) + ": " + error.what());
  }
  const JsonView view(document, kSubject);
  if (view.object().at("version").number() != kListVersion) view.at("version").fail("is not 1: upgrade holdall");
  RelocationList list;
  std::unordered_set<std::string> names;
  const auto require_new = [&](const JsonView& item, const std::string& path) {
    if (const std::string fault = path_fault(path); !fault.empty()) item.fail("'" + path + "' " + fault);
    if (!names.insert(path).second) item.fail("'" + path + "' is listed twice");
  };
  const JsonView files = view.at("files");
  for (std::size_t i = 0; i < files.size(); ++i) {
    list.files.push_back(file_of(files.at(i)));
    require_new(files.at(i), list.files.back().path);
  }
  const JsonView links = view.at("links");
  for (std::size_t i = 0; i < links.size(); ++i) {
    HostLink link{links.at(i).at("name").string(), links.at(i).at("linkName").string()};
    require_new(links.at(i), link.path);
    const bool usable = link.target.starts_with('/') && link.target.size() <= kMaxPathBytes && is_utf8(link.target) &&
                        link.target.find('\0') == std::string::npos;
    if (!usable) links.at(i).fail("linkName is not the absolute path of a program of the host");
    list.links.push_back(std::move(link));
  }
  return list;
}

std::string prefix_lines(const std::vector<std::string>& prefixes) {
  std::string text;
  for (const std::string& prefix : prefixes) text += prefix + "\n";
  return text;
}

std::vector<std::string> parse_prefix_lines(std::string_view text) {
  std::vector<std::string> prefixes;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) prefixes.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return prefixes;
}

}  // namespace holdall::bundle
