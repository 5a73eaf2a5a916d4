#include "packer/sbom/cyclonedx.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "bundle/byte_order.h"
#include "bundle/digest.h"

namespace holdall::packer {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kNoSerialNumber = "urn:uuid:00000000-0000-0000-0000-000000000000";

// Of the document's own bytes: a UUID of version 8 (RFC 9562), which leaves open how it is made.
std::string serial_number(const std::string& document) {
  bundle::Digest digest = bundle::sha256(bundle::as_byte_span(document));
  digest[6] = static_cast<std::uint8_t>((digest[6] & 0x0f) | 0x80);
  digest[8] = static_cast<std::uint8_t>((digest[8] & 0x3f) | 0x80);
  std::string uuid = bundle::to_hex(digest).substr(0, 32);
  for (const std::size_t at : {8U, 13U, 18U, 23U}) uuid.insert(at, 1, '-');
  return "urn:uuid:" + uuid;
}

ordered_json hash_json(const std::string& algorithm, const std::string& content) {
  return {{"alg", algorithm}, {"content", content}};
}

ordered_json property_json(const std::string& name, const std::string& value) {
  return {{"name", name}, {"value", value}};
}

ordered_json file_json(const SbomFile& file) {
  ordered_json json{{"type", "file"}, {"name", file.path}};
  if (file.digest) json["hashes"].push_back(hash_json("SHA-256", bundle::to_hex(*file.digest)));
  if (!file.build_id.empty()) json["properties"].push_back(property_json("holdall:build_id", file.build_id));
  return json;
}

ordered_json licences_json(const SbomComponent& component) {
  ordered_json list = ordered_json::array();
  if (!component.licence_expression.empty()) {
    list.push_back({{"expression", component.licence_expression}});
    return list;
  }
  for (const std::string& name : component.licences) list.push_back({{"license", {{"name", name}}}});
  return list;
}

ordered_json component_json(const SbomComponent& component) {
  ordered_json json{{"type", component.type}, {"bom-ref", component.ref}, {"name", component.name}};
  if (!component.version.empty()) json["version"] = component.version;
  for (const auto& [algorithm, content] : component.hashes) json["hashes"].push_back(hash_json(algorithm, content));
  if (ordered_json list = licences_json(component); !list.empty()) json["licenses"] = std::move(list);
  if (!component.purl.empty()) json["purl"] = component.purl;
  for (const SbomFile& file : component.files) json["components"].push_back(file_json(file));
  if (!component.evidence.empty()) json["evidence"] = {{"occurrences", {{{"location", component.evidence}}}}};
  for (const auto& [name, value] : component.properties) json["properties"].push_back(property_json(name, value));
  return json;
}

// Who depends on whom, by ref. Everything can be reached from the subject.
std::map<std::string, std::set<std::string>> dependencies_of(const Sbom& sbom) {
  std::map<std::string, std::set<std::string>> result;
  for (const SbomComponent& component : sbom.components) result[component.ref];
  std::set<std::string> needed;
  for (const SbomComponent& component : sbom.components) {
    for (const std::string& ref : component.depends_on) {
      if (ref == component.ref || !result.contains(ref)) continue;
      result[component.ref].insert(ref);
      needed.insert(ref);
    }
  }
  std::set<std::string> reached, roots;
  const auto reach = [&](const std::string& from) {
    roots.insert(from);
    std::vector<std::string> open{from};
    while (!open.empty()) {
      const std::string at = std::move(open.back());
      open.pop_back();
      if (reached.insert(at).second) open.insert(open.end(), result[at].begin(), result[at].end());
    }
  };
  for (const SbomComponent& component : sbom.components)
    if (!needed.contains(component.ref)) reach(component.ref);
  for (const SbomComponent& component : sbom.components)  // those that need each other in a circle
    if (!reached.contains(component.ref)) reach(component.ref);
  result[sbom.subject.ref] = std::move(roots);
  return result;
}

}  // namespace

std::string to_cyclonedx(const Sbom& sbom) {
  ordered_json components = ordered_json::array(), dependencies = ordered_json::array();
  for (const SbomComponent& component : sbom.components) components.push_back(component_json(component));
  for (const auto& [ref, needs] : dependencies_of(sbom)) {
    dependencies.push_back({{"ref", ref}, {"dependsOn", needs}});
  }
  ordered_json document{
      {"$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json"},
      {"bomFormat", "CycloneDX"},
      {"specVersion", "1.6"},
      {"serialNumber", kNoSerialNumber},
      {"version", 1},
      {"metadata",
       {{"lifecycles", {{{"phase", "build"}}}},
        {"tools",
         {{"components", {{{"type", "application"}, {"name", "holdall-pack"}, {"version", sbom.tool_version}}}}}},
        {"component", component_json(sbom.subject)}}},
      {"components", std::move(components)},
      {"dependencies", std::move(dependencies)},
      {"compositions",
       {{{"aggregate", sbom.complete ? "complete" : "incomplete"}, {"assemblies", {sbom.subject.ref}}}}}};
  std::string text = document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  renumber(text);
  return text;
}

void renumber(std::string& document) {
  const std::size_t at = document.find("urn:uuid:");  // nothing of a component stands before it
  document.replace(at, kNoSerialNumber.size(), kNoSerialNumber);
  document.replace(at, kNoSerialNumber.size(), serial_number(document));
}

}  // namespace holdall::packer
