#include "packer/licences.h"

#include <filesystem>
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
  std::set<std::string> places;
  for (PlannedMember& member : plan.members) {
    places.insert(member.entry.path);
    if (!member.package.empty() || !is_of_system(member.source, system_root)) continue;
    std::error_code error;
    const std::string real = fs::canonical(member.source.view(), error).string();
    if (error) continue;  // it vanished: packing says so
    const LibraryOrigin origin = origins.find(real);
    if (origin.system) member.package = origin.package;
  }
  for (const Licence& licence : origins.licences()) {
    if (places.contains(licence.to)) continue;
    add_file(plan, {.path = licence.to, .source = licence.source, .layer = "runtime"}).package = licence.package;
  }
  for (const std::string& package : origins.packages_without_licence()) {
    plan.warnings.push_back("package '" + package + "' has no licence file to pack");
  }
  plan.info.build.merge(origins.versions());
}

}  // namespace holdall::packer
