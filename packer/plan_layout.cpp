#include "packer/plan_layout.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <unordered_map>
#include <unordered_set>

#include "bundle/member_path.h"
#include "packer/input_file.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::Entry;
using bundle::EntryType;

constexpr std::uint64_t kDiskBlock = 4096;

int start_up_rank(const PlannedMember& member) {
  if (member.sbom) return 4;
  const std::string_view path = member.entry.path, top = path.substr(0, path.find('/'));
  return top == "bin" ? 0 : top == "lib" ? 1 : top == "model" ? 3 : 2;
}

std::string describe_source(const PlannedMember& member) {
  if (!member.source.empty()) return "'" + member.source + "'";
  if (member.entry.type == EntryType::kSymlink) return "a link to '" + member.entry.link_target + "'";
  return member.entry.type == EntryType::kDirectory ? "a folder" : "a file that packing makes";
}

}  // namespace

PlannedMember& add_file(PackPlan& plan, const FileToAdd& file) {
  const InputFile input(file.source);
  PlannedMember& member = plan.members.emplace_back();
  member.entry.path = file.path;
  member.entry.layer = file.layer;
  member.entry.size = input.size();
  member.source = file.source;
  member.mtime_ns = input.mtime_ns();
  return member;
}

void add_parent_folders(PackPlan& plan) {
  std::unordered_set<std::string_view> folders;
  for (const PlannedMember& member : plan.members) {
    if (member.entry.type == EntryType::kDirectory) folders.insert(member.entry.path);
  }
  std::unordered_map<std::string, std::string> missing;  // folder → layer of the first that it holds
  for (const PlannedMember& member : plan.members) {
    for (std::string_view folder = bundle::parent_of(member.entry.path); !folder.empty();
         folder = bundle::parent_of(folder)) {
      if (folders.contains(folder) || !missing.emplace(folder, member.entry.layer).second) break;
    }
  }
  for (const auto& [folder, layer] : missing) {
    PlannedMember& member = plan.members.emplace_back();
    member.entry.path = folder;
    member.entry.type = EntryType::kDirectory;
    member.entry.executable = true;
    member.entry.layer = layer;
  }
}

void sort_for_start_up(PackPlan& plan) {
  std::ranges::sort(plan.members, [](const PlannedMember& one, const PlannedMember& other) {
    const int rank = start_up_rank(one), other_rank = start_up_rank(other);
    return rank != other_rank ? rank < other_rank : one.entry.path < other.entry.path;
  });
}

void refuse_collisions(PackPlan& plan, Faults& faults) {
  auto kept = plan.members.begin();  // the end of those: where they are, as a million members are most of the memory
  for (PlannedMember& member : plan.members) {
    if (kept != plan.members.begin() && std::prev(kept)->entry.path == member.entry.path) {
      const PlannedMember& other = *std::prev(kept);
      if (other.entry.type == EntryType::kDirectory && member.entry.type == EntryType::kDirectory) continue;
      faults.add("two inputs go to '" + member.entry.path + "' in the bundle: " + describe_source(other) + " and " +
                 describe_source(member));
    }
    if (&*kept != &member) *kept = std::move(member);
    ++kept;
  }
  plan.members.erase(kept, plan.members.end());
}

void put_below(PackPlan& plan, const std::string& folder) {
  if (folder.empty()) return;
  for (PlannedMember& member : plan.members) member.entry.path = folder + "/" + member.entry.path;
  std::vector<PlannedMember> above;
  for (std::string_view path = folder; !path.empty(); path = bundle::parent_of(path)) {
    PlannedMember& member = above.emplace_back();
    member.entry.path = path;
    member.entry.type = EntryType::kDirectory;
    member.entry.executable = true;
    member.entry.layer = plan.members.empty() ? "" : plan.members.front().entry.layer;
  }
  std::ranges::reverse(above);
  plan.members.insert(plan.members.begin(), std::make_move_iterator(above.begin()),
                      std::make_move_iterator(above.end()));
}

void count_members(PackPlan& plan) {
  bundle::BundleInfo& info = plan.info;
  for (const PlannedMember& member : plan.members) {
    const Entry& entry = member.entry;
    info.requires_host.disk_bytes +=
        std::max<std::uint64_t>((entry.size + kDiskBlock - 1) / kDiskBlock, 1) * kDiskBlock;
    if (std::ranges::find(info.layers, entry.layer) == info.layers.end()) info.layers.push_back(entry.layer);
    if (entry.type != EntryType::kRegular) continue;
    ++info.files;
    info.bytes += entry.size;
    info.largest_file = std::max(info.largest_file, entry.size);
  }
  static const std::vector<std::string> kOrder{"system", "cuda", "runtime", "environment", "app", "model"};
  std::ranges::sort(info.layers, {},
                    [](const std::string& layer) { return std::ranges::find(kOrder, layer) - kOrder.begin(); });
}

void add_build_machine(PackPlan& plan, const BuildMachine& machine) {
  plan.leak_sources.push_back({machine.home, "home folder", LeakKind::kPath});
  plan.leak_sources.push_back({machine.host_name, "host name", LeakKind::kWord});
}

void add_build_prefixes(PackPlan& plan, const Collection& collection) {
  for (const InputRoot& root : collection.roots) {
    for (const std::string& prefix : root.prefixes) {
      plan.leak_sources.push_back({prefix, "build prefix", LeakKind::kPath});
    }
  }
}

void add_source_folder(PackPlan& plan, const std::string& folder) {
  const auto checkout_of = [](const std::string& path) {
    for (fs::path at = path; at.has_relative_path(); at = at.parent_path()) {
      std::error_code ignored;
      if (fs::exists(at / ".git", ignored)) return at.string();
    }
    return path;
  };
  std::error_code ignored;
  for (const std::string& spelling : {folder, fs::weakly_canonical(folder, ignored).string()}) {
    plan.leak_sources.push_back({checkout_of(spelling), "source folder", LeakKind::kPath});
  }
}

void forget_telling_edits(PackPlan& plan) {
  const LeakPatterns patterns(plan.leak_sources);
  for (PlannedMember& member : plan.members) {
    if (!member.entry.elf) continue;
    LeakScanner scanner(patterns);
    for (const bundle::ElfPatch& patch : member.entry.elf->patches) scanner.update(patch.old_bytes + '\0');
    scanner.finish();
    if (scanner.count() != 0) member.entry.elf.reset();
  }
}

}  // namespace holdall::packer
