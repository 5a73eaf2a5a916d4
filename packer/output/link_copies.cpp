#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bundle/error.h"
#include "bundle/limits.h"
#include "bundle/member_path.h"
#include "bundle/relocation_list.h"
#include "packer/faults.h"
#include "packer/output/zip_rules.h"
#include "packer/plan_layout.h"

namespace holdall::packer {
namespace {

using bundle::EntryType;
using bundle::ErrorKind;

std::string joined(std::string_view folder, std::string_view name) {
  return folder.empty() ? std::string(name) : std::string(folder) + "/" + std::string(name);
}

class LinkCopier {
 public:
  explicit LinkCopier(const PackPlan& plan) : members_(plan.members) {
    for (const PlannedMember& member : members_) {
      by_path_.emplace(member.entry.path, &member);
      held_[bundle::parent_of(member.entry.path)].push_back(&member);
    }
  }

  // What stands for the links.
  std::vector<PlannedMember> run() {
    for (const PlannedMember& member : members_) {
      if (member.entry.type != EntryType::kSymlink) continue;
      link_ = &member;
      add(member, member.entry.path);
    }
    faults_.report(ErrorKind::kCannotPack,
                   "a zip without links needs a copy of what each leads to: pass --zip-symlinks, or pack a tar:");
    return std::move(copied_);
  }

  // Copies of files with relocations: path of the copy, path of the file.
  const std::vector<std::pair<std::string, std::string>>& relocated_copies() const { return relocated_copies_; }

 private:
  // What a link leads to when links on the way are followed as the kernel does. Null: nowhere, or too many links.
  const PlannedMember* followed(const PlannedMember& link) const {
    std::string at(bundle::parent_of(link.entry.path));
    std::vector<std::string> pending;  // components, the next one last
    const auto push = [&](std::string_view target) {
      std::vector<std::string> components;
      for (std::size_t start = 0; start <= target.size();) {
        const std::size_t end = std::min(target.find('/', start), target.size());
        components.emplace_back(target.substr(start, end - start));
        start = end + 1;
      }
      pending.insert(pending.end(), components.rbegin(), components.rend());
    };
    push(link.entry.link_target);
    const PlannedMember* member = nullptr;
    for (int steps = 1; !pending.empty();) {
      const std::string component = std::move(pending.back());
      pending.pop_back();
      if (component.empty() || component == ".") continue;
      if (component == "..") {
        if (at.empty()) return nullptr;
        at = bundle::parent_of(at);
        continue;
      }
      const std::string next = joined(at, component);
      const auto found = by_path_.find(next);
      if (found == by_path_.end()) return nullptr;
      member = found->second;
      if (member->entry.type == EntryType::kSymlink) {
        if (++steps > bundle::kMaxLinkSteps) return nullptr;
        push(member->entry.link_target);
        continue;
      }
      if (member->entry.type == EntryType::kRegular && !pending.empty()) return nullptr;
      at = next;
    }
    const auto found = by_path_.find(at);
    return found == by_path_.end() ? nullptr : found->second;
  }

  // One for each link.
  void fault(const std::string& what) {
    if (std::exchange(faulty_, link_) == link_) return;
    faults_.add("'" + link_->entry.path + "' leads to '" + link_->entry.link_target + "', " + what);
  }

  void add(const PlannedMember& member, const std::string& as) {
    if (as.size() > bundle::kMaxPathBytes || copied_.size() > bundle::kMaxEntries) {
      fault("where copies would be without end");
      return;
    }
    if (member.entry.type == EntryType::kSymlink) {
      const PlannedMember* const target = followed(member);
      if (target == nullptr) {
        fault("which is no file or folder of the archive");
      } else {
        add(*target, as);
      }
      return;
    }
    if (std::ranges::find(open_, &member) != open_.end()) {
      fault("which holds the link itself");
      return;
    }
    PlannedMember& copy = copied_.emplace_back(member);
    copy.entry.path = as;
    if (member.entry.type == EntryType::kRegular) {
      if (!member.entry.relocations.empty()) relocated_copies_.emplace_back(as, member.entry.path);
      return;
    }
    // A link to a folder that it lies in would be copied into its own copy.
    if (as.starts_with(member.entry.path + "/")) {
      fault("which holds the link itself");
      return;
    }
    open_.push_back(&member);
    if (const auto held = held_.find(member.entry.path); held != held_.end()) {
      for (const PlannedMember* const inner : held->second) {
        add(*inner, joined(as, std::string_view(inner->entry.path).substr(member.entry.path.size() + 1)));
      }
    }
    open_.pop_back();
  }

  const std::vector<PlannedMember>& members_;
  std::unordered_map<std::string_view, const PlannedMember*> by_path_;
  std::unordered_map<std::string_view, std::vector<const PlannedMember*>> held_;  // by folder
  const PlannedMember* link_ = nullptr;                                           // that is being replaced
  std::vector<const PlannedMember*> open_;                                        // folders that are being copied
  std::vector<PlannedMember> copied_;
  std::vector<std::pair<std::string, std::string>> relocated_copies_;
  const PlannedMember* faulty_ = nullptr;  // the last link with a fault
  Faults faults_;
};

// holdall/relocations.json tells the copies, too.
void list_copies(PackPlan& plan, const std::vector<std::pair<std::string, std::string>>& copies) {
  const auto member = std::ranges::find(plan.members, bundle::kRelocationListPath,
                                        [](const PlannedMember& one) { return std::string_view(one.entry.path); });
  if (member == plan.members.end()) return;
  bundle::RelocationList list = bundle::parse_relocation_list(member->special().contents);
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < list.files.size(); ++i) places.emplace(list.files[i].path, i);
  std::vector<bundle::RelocatedFile> more;
  for (const auto& [copy, original] : copies) {
    if (const auto place = places.find(original); place != places.end()) {
      more.push_back(list.files[place->second]);
      more.back().path = copy;
    }
  }
  list.files.insert(list.files.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  std::ranges::sort(list.files, {}, &bundle::RelocatedFile::path);
  member->change().contents = to_json(list);
  member->entry.size = member->special().contents.size();
}

}  // namespace

void copy_linked_files(PackPlan& plan) {
  LinkCopier copier(plan);
  std::vector<PlannedMember> copies = copier.run();
  std::erase_if(plan.members, [](const PlannedMember& member) { return member.entry.type == EntryType::kSymlink; });
  plan.members.insert(plan.members.end(), std::make_move_iterator(copies.begin()),
                      std::make_move_iterator(copies.end()));
  list_copies(plan, copier.relocated_copies());
  sort_for_start_up(plan);
  plan.info.files = plan.info.bytes = plan.info.largest_file = plan.info.requires_host.disk_bytes = 0;
  count_members(plan);
}

}  // namespace holdall::packer
