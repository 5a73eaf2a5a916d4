#include "packer/licences.h"

#include <filesystem>
#include <functional>
#include <set>

#include "packer/plan_layout.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

bool is_of_system(const std::string& path, const std::string& root) {
  if (path.starts_with(root + "/usr/bin/python")) return true;  // of a venv whose interpreter goes along
  const bool inside = path.starts_with(root + "/usr/") || path.starts_with(root + "/lib");
  return inside && path.find(".so", path.rfind('/') + 1) != path.npos;
}

}  // namespace

void add_licences(PackPlan& plan, LibraryOrigins& origins, const std::string& system_root) {
  for (PlannedMember& member : plan.members) {
    if (!member.package.empty() || !is_of_system(member.source, system_root)) continue;
    std::error_code error;
    const std::string real = fs::canonical(member.source.str(), error).string();
    if (error) continue;  // it vanished: packing says so
    const LibraryOrigin origin = origins.find(real);
    if (origin.system) member.package = origin.package;
  }
  const auto licences = origins.licences();
  std::set<std::string, std::less<>> missing;
  for (const Licence& licence : licences) missing.insert(licence.to);
  for (const PlannedMember& member : plan.members)
    if (const auto found = missing.find(member.entry.path.view()); found != missing.end()) missing.erase(found);
  for (const Licence& licence : licences) {
    if (missing.erase(licence.to) == 0) continue;
    add_file(plan, {.path = licence.to, .source = licence.source, .layer = "runtime"}).package = licence.package;
  }
  for (const std::string& package : origins.packages_without_licence()) {
    plan.warnings.push_back("package '" + package + "' has no licence file to pack");
  }
  plan.info.build.merge(origins.versions());
}

}  // namespace holdall::packer
