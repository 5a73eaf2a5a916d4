#include "packer/plan_environment.h"

#include <utility>

#include "bundle/error.h"
#include "packer/host_needs.h"
#include "packer/input_file.h"
#include "packer/plan_layout.h"
#include "packer/prefix_rewrite.h"
#include "packer/system_licences.h"

namespace holdall::packer {
namespace {

using bundle::EntryType;

constexpr std::uint64_t kMaxRewritten = 64 << 20;  // a text file that names the prefix; a larger one is only audited

// The contents of a regular member as the archive shall have them.
void relocate_contents(const Collection& collection, const Member& member, PlannedMember& planned) {
  const InputRoot& root = collection.roots[member.root];
  std::string contents;
  if (planned.source.empty()) {
    contents = collection.substitutes[member.substitute].contents;
  } else {
    if (root.prefixes.empty() || member.size > kMaxRewritten) return;
    const InputFile file = open_found({planned.source, member.size, member.mtime_ns});
    contents.resize(file.size());
    if (file.read_some(0, std::as_writable_bytes(std::span(contents))) != contents.size()) {
      throw changed_while_packed(planned.source);
    }
  }
  auto rewritten = rewrite_text(contents, root.prefixes, planned.entry.path);
  if (!rewritten && !planned.source.empty()) return;
  planned.source.clear();
  planned.contents = rewritten ? std::move(rewritten->contents) : std::move(contents);
  planned.entry.size = planned.contents.size();
  if (rewritten) planned.entry.relocations = std::move(rewritten->relocations);
}

PlannedMember plan_member(const Collection& collection, const Member& member) {
  PlannedMember planned;
  planned.entry.path = bundle_path(collection, member);
  planned.entry.type = member.type;
  planned.entry.layer = collection.roots[member.root].layer;
  planned.entry.executable = member.executable || member.type == EntryType::kDirectory;
  planned.entry.link_target = member.link_target;
  if (member.package != Member::kNone) {
    const PackageRecord& package = collection.packages[member.package];
    planned.package = package.name + "-" + package.version;
  }
  if (member.type != EntryType::kRegular) return planned;
  planned.entry.size = member.size;
  planned.source = source_of(collection, member);
  planned.mtime_ns = member.mtime_ns;
  relocate_contents(collection, member, planned);
  return planned;
}

}  // namespace

PackPlan plan_environment(const Collection& collection, const EnvironmentOptions& options, const BuildMachine& machine,
                          const std::function<void()>& check) {
  PackPlan plan;
  plan.info.tool_version = HOLDALL_VERSION;
  plan.info.name = options.name;
  plan.info.version = options.version;
  plan.warnings = collection.warnings;
  plan.members.reserve(collection.members.size());
  for (const Member& member : collection.members) {
    if (check) check();
    plan.members.push_back(plan_member(collection, member));
  }
  add_system_licences(plan, machine.system_root);
  plan.slim_drops = slim(plan.members, options.slimming);
  add_parent_folders(plan);
  sort_for_start_up(plan);
  derive_host_needs(plan, {}, Device::kCpu);
  count_members(plan);
  for (const InputRoot& root : collection.roots) {
    for (const std::string& prefix : root.prefixes) {
      plan.leak_sources.push_back({prefix, "build prefix", LeakKind::kPath});
    }
  }
  plan.leak_sources.push_back({machine.home, "home folder", LeakKind::kPath});
  plan.leak_sources.push_back({machine.host_name, "host name", LeakKind::kWord});
  forget_telling_edits(plan);
  return plan;
}

}  // namespace holdall::packer
