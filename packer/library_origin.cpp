#include "packer/library_origin.h"

#include <filesystem>

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "share/licenses/";

// What makes one licence of a wheel differ from another of it: the path below its dist-info folder, else the name.
std::string place_of(const Wheel& wheel, const std::string& licence) {
  const std::string own = wheel.name + ".dist-info/";
  std::string place = licence.starts_with(own) ? licence.substr(own.size()) : fs::path(licence).filename().string();
  if (place.starts_with("licenses/")) place.erase(0, 9);
  return place;
}

}  // namespace

LibraryOrigin LibraryOrigins::find(const std::string& real_path) {
  if (auto recorded = wheels_.find(real_path)) {
    const std::string name = recorded->wheel->name;
    used_wheels_.emplace(name, std::move(recorded->wheel));
    return {.package = name, .digest = recorded->digest, .system = false};
  }
  if (auto package = debian_.find(real_path)) {
    std::string name = package->name + "-" + package->version;
    used_debian_.emplace(package->name, std::move(package));
    return {.package = std::move(name), .digest = std::nullopt, .system = true};
  }
  return {};
}

std::vector<Licence> LibraryOrigins::licences() const {
  std::map<std::string, Licence> by_place;
  const auto add = [&](Licence licence) {
    std::string place = licence.to;
    by_place.emplace(std::move(place), std::move(licence));
  };
  for (const auto& [name, wheel] : used_wheels_) {
    for (const std::string& licence : wheel->licences) {
      add({wheel->site + "/" + licence, kFolder + name + "/" + place_of(*wheel, licence), name});
    }
  }
  for (const auto& [name, package] : used_debian_) {
    for (const auto& [source, place] : package->licences) {
      add({source, kFolder + place, place.starts_with(name + "/") ? name + "-" + package->version : ""});
    }
  }
  std::vector<Licence> result;
  for (auto& [place, licence] : by_place) result.push_back(std::move(licence));
  return result;
}

std::vector<std::string> LibraryOrigins::packages_without_licence() const {
  std::vector<std::string> result;
  for (const auto& [name, wheel] : used_wheels_) {
    if (wheel->licences.empty()) result.push_back(name);
  }
  for (const auto& [name, package] : used_debian_) {
    if (package->licences.empty()) result.push_back(name);
  }
  return result;
}

std::map<std::string, std::string> LibraryOrigins::versions() const {
  std::map<std::string, std::string> result;
  for (const auto& [name, wheel] : used_wheels_) {
    const std::size_t dash = name.rfind('-');
    result.emplace(name.substr(0, dash), dash == name.npos ? "" : name.substr(dash + 1));
  }
  for (const auto& [name, package] : used_debian_) result.emplace(name, package->version);
  return result;
}

std::vector<FoundPackage> LibraryOrigins::packages() const {
  std::vector<FoundPackage> result;
  for (const auto& [name, package] : used_debian_)
    result.push_back({.label = name + "-" + package->version, .debian = package, .metadata = {}});
  for (const auto& [name, wheel] : used_wheels_)
    result.push_back({.label = name, .debian = nullptr, .metadata = wheel->site + "/" + name + ".dist-info/METADATA"});
  return result;
}

}  // namespace holdall::packer
