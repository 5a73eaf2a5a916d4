#include "packer/inputs/collect.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "bundle/bundle_info.h"
#include "bundle/error.h"
#include "bundle/limits.h"
#include "bundle/member_path.h"
#include "bundle/own_libc.h"
#include "packer/faults.h"
#include "packer/input_file.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;
using bundle::Error;
using bundle::ErrorKind;

std::vector<Collection> one(Collection collection) {
  std::vector<Collection> result;
  result.push_back(std::move(collection));
  return result;
}

// The C library that an unpacked bundle brings.
std::optional<bundle::BundledLibc> libc_of(const std::string& bundle_json) {
  try {
    return bundle::parse_bundle_info(read_whole(bundle_json, bundle::kMaxInfoBytes)).requires_host.libc;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kStorage) throw;
    return std::nullopt;  // nothing that this program has written
  }
}

// Relocation has led the programs of such a tree to its own loader, by an absolute path, and left links that tell.
bool runs_on(const bundle::BundledLibc& libc, const std::vector<Member>& members) {
  const std::string_view family = bundle::parent_of(libc.interpreter);
  std::vector<std::string> names;
  std::map<std::string, std::string> links;
  for (const Member& member : members) {
    const std::string path = member.path;
    if (member.type == EntryType::kSymlink) links[path] = member.link_target;
    if (bundle::parent_of(path) == family) names.push_back(path.substr(family.size() + 1));
  }
  return std::ranges::any_of(bundle::libc_links(libc, names), [&](const bundle::TreeLink& link) {
    const auto found = links.find(link.path);
    return found != links.end() && found->second == link.target;
  });
}

// A tree that Holdall unpacked has `holdall/`, and may have a C library: packing makes both anew.
void leave_out_made(std::vector<Member>& members, const std::string& folder) {
  std::error_code ignored;
  const std::string bundle_json = folder + "/holdall/bundle.json";
  if (!fs::is_regular_file(bundle_json, ignored)) return;
  const auto libc = libc_of(bundle_json);
  if (libc && runs_on(*libc, members)) {
    throw Error(ErrorKind::kCannotPack, "cannot pack '" + folder + "': its programs run on its own C library, which " +
                                            "they name by where it lies now: 'holdall relocate --libc host' first");
  }
  const std::string family(libc ? bundle::parent_of(libc->interpreter) : "");
  std::erase_if(members, [&](const Member& member) {
    const std::string path = member.path + "/";
    return path.starts_with("holdall/") || (!family.empty() && path.starts_with(family + "/"));
  });
}

std::vector<Collection> collect_one(const InputRequest& request, const std::function<void()>& check) {
  std::error_code error;
  const std::string folder = fs::canonical(request.folder, error).string();
  if (error) throw bundle::system_error(error.value(), "open", request.folder);
  switch (kind_of_input(folder)) {
    case InputKind::kConda:
      return one(collect_conda(request, folder, check));
    case InputKind::kVenv:
      return collect_venv(request, folder, check);
    case InputKind::kPrefix:
      break;
  }
  return one(collect_tree(request, folder, InputKind::kPrefix, {.check = check}));
}

// Of a part of what `request` yields: a venv's base installation is a folder of the environment.
std::string folder_of(const Collection& part, const InputRequest& request) {
  const std::string& to = part.roots[0].to;
  if (to == request.to) return "";
  return to.substr(request.to.empty() ? 0 : request.to.size() + 1) + "/";
}

void append(Collection& all, Collection part) {
  const auto move_into = [](auto& into, auto& from) {
    const auto offset = static_cast<std::uint32_t>(into.size());
    std::ranges::move(from, std::back_inserter(into));
    return offset;
  };
  const std::uint32_t roots = move_into(all.roots, part.roots);
  const std::uint32_t packages = move_into(all.packages, part.packages);
  const std::uint32_t placeholders = move_into(all.placeholders, part.placeholders);
  const std::uint32_t digests = move_into(all.digests, part.digests);
  const std::uint32_t substitutes = move_into(all.substitutes, part.substitutes);
  move_into(all.warnings, part.warnings);
  const auto shift = [](std::uint32_t& index, std::uint32_t offset) {
    if (index != Member::kNone) index += offset;
  };
  for (Member& member : part.members) {
    shift(member.root, roots);
    shift(member.package, packages);
    shift(member.placeholder, placeholders);
    shift(member.digest, digests);
    shift(member.substitute, substitutes);
  }
  if (all.members.empty()) {
    all.members = std::move(part.members);
  } else {
    move_into(all.members, part.members);
  }
}

void sort_and_join(Collection& collection) {
  if (collection.roots.size() == 1) return;
  std::vector<std::pair<std::string, std::size_t>> order;
  for (std::size_t i = 0; i < collection.members.size(); ++i) {
    order.emplace_back(bundle_path(collection, collection.members[i]), i);
  }
  std::ranges::sort(order);
  Faults faults;
  std::vector<Member> sorted;
  sorted.reserve(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    Member& member = collection.members[order[i].second];
    if (i > 0 && order[i].first == order[i - 1].first) {
      if (member.type == EntryType::kDirectory && sorted.back().type == EntryType::kDirectory) continue;
      faults.add("two inputs go to '" + order[i].first + "' in the bundle: '" + source_of(collection, sorted.back()) +
                 "' and '" + source_of(collection, member) + "'");
      continue;
    }
    sorted.push_back(std::move(member));
  }
  faults.report();
  collection.members = std::move(sorted);
}

}  // namespace

InputKind kind_of_input(const std::string& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (status.type() == fs::file_type::not_found || !fs::is_directory(status)) {
    throw Error(ErrorKind::kNotFound,
                "cannot pack '" + folder + "': " + (fs::exists(status) ? "it is no folder" : "it is not there"));
  }
  if (fs::is_directory(folder + "/conda-meta", error)) return InputKind::kConda;
  return fs::is_regular_file(folder + "/pyvenv.cfg", error) ? InputKind::kVenv : InputKind::kPrefix;
}

Collection collect_tree(const InputRequest& request, const std::string& folder, InputKind kind, WalkOptions options) {
  options.given = request.folder;
  if (!options.outside_link && request.outside_links == Tolerance::kAccept) {
    options.outside_link = [](const std::string&, const std::string&) { return OutsideLink::kCopy; };
  }
  TreeWalk walk = walk_tree(folder, options);
  Collection result;
  result.members = std::move(walk.members);
  result.warnings = std::move(walk.warnings);
  result.roots.push_back(
      {.kind = kind, .folder = folder, .to = request.to, .layer = request.layer, .prefixes = {folder}});
  if (request.folder != folder) result.roots[0].prefixes.push_back(request.folder);
  std::ranges::stable_sort(result.roots[0].prefixes, std::ranges::greater(), &std::string::size);
  return result;
}

Collection collect(const std::vector<InputRequest>& inputs, const std::function<void()>& check) {
  Collection all;
  for (const InputRequest& request : inputs) {
    for (Collection& part : collect_one(request, check)) {
      leave_out_made(part.members, part.roots[0].folder);
      part.members = filtered(std::move(part.members), request.filters, folder_of(part, request));
      append(all, std::move(part));
    }
  }
  sort_and_join(all);
  return all;
}

}  // namespace holdall::packer
