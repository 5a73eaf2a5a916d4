#include "packer/own_libc.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "bundle/error.h"
#include "bundle/member_path.h"
#include "packer/elf_file.h"
#include "packer/file_digests.h"
#include "packer/glibc_family.h"
#include "packer/library_kinds.h"
#include "packer/packed_file.h"
#include "packer/plan_layout.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;
using bundle::RelocationKind;

// Bytes that the path of the bundle's loader may take. Linux takes PATH_MAX, 4096, for the whole of PT_INTERP.
constexpr std::size_t kLoaderRoom = 1024;

constexpr const char* kDefaultFolder = "lib";

bool is_glibc_loader(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return path.starts_with('/') && (name.starts_with("ld-linux") || name.starts_with("ld64.so"));
}

// CUDA's compilers and tools, which wheels bring along.
bool is_nvidia_program(std::string_view path) {
  static constexpr std::array<std::string_view, 9> kTools{"ptxas",     "ptxas-blackwell", "nvcc", "fatbinary", "nvlink",
                                                          "cuobjdump", "nvdisasm",        "cicc", "cudafe++"};
  return path.find("/nvidia/") != path.npos ||
         std::ranges::find(kTools, path.substr(path.rfind('/') + 1)) != kTools.end();
}

// nullopt: bytes like others.
std::optional<ElfFile> open_elf(const std::shared_ptr<const ReadableFile>& file) {
  if (!is_elf(*file)) return std::nullopt;
  try {
    return ElfFile(file);
  } catch (const bundle::Error& error) {
    if (error.kind() != bundle::ErrorKind::kCannotPack) throw;
    return std::nullopt;  // an object file, of another class, broken
  }
}

// Of a program that glibc's loader starts: what it names. A library that can be run, as libc.so.6 can, is none.
std::optional<std::string> loader_of(const ElfFile& file) {
  auto loader = file.interpreter();
  if (!loader || !is_glibc_loader(*loader) || file.dynamic().empty() || file.string(DT_SONAME)) return std::nullopt;
  return loader;
}

std::size_t leading_slashes(std::string_view text) {
  return std::min(text.find_first_not_of('/'), text.size());
}

// The folders of the bundle that a library path leads a file of the folder `origin` to.
std::vector<std::string> folders_inside(const std::string& list, const std::string& origin) {
  std::vector<std::string> folders;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(':', begin), list.size());
    const std::string item = list.substr(begin, end - begin);
    begin = end + 1;
    for (const std::string_view token : {"$ORIGIN", "${ORIGIN}"}) {
      if (!item.starts_with(token) || (item.size() > token.size() && item[token.size()] != '/')) continue;
      std::string folder = (fs::path(origin) / ("." + item.substr(token.size()))).lexically_normal().string();
      while (folder.ends_with('/')) folder.pop_back();
      if (folder != ".." && !folder.starts_with("../")) folders.push_back(folder == "." ? "" : folder);
    }
  }
  return folders;
}

std::string up_from(const std::string& bundle_path) {
  std::string up = "$ORIGIN/";
  for (auto levels = std::ranges::count(bundle_path, '/'); levels > 0; --levels) up += "../";
  return up;
}

// Where relocation makes links to the libc: each program's first library folder in the bundle, and that of each library
// whose DT_RUNPATH keeps the program's path from serving it.
class LibraryFolders {
 public:
  explicit LibraryFolders(const PackPlan& plan) {
    for (const PlannedMember& member : plan.members) {
      if (member.entry.type == EntryType::kSymlink) links_[member.entry.path] = member.entry.link_target;
      for (std::string_view path = bundle::parent_of(member.entry.path); !path.empty(); path = bundle::parent_of(path))
        if (!present_.emplace(path).second) break;
      if (member.entry.type == EntryType::kDirectory) present_.insert(member.entry.path);
    }
  }

  void add(const PlannedMember& member, const ElfInfo& elf, bool program) {
    const bool needs_glibc = std::ranges::any_of(elf.needed, is_glibc_library);
    if (!program && (!elf.runpath || !needs_glibc)) return;
    const std::string& list = elf.runpath ? *elf.runpath : elf.rpath.value_or("");
    for (const std::string& folder : folders_inside(list, std::string(bundle::parent_of(member.entry.path)))) {
      const std::string real = resolved(folder);
      if (real.empty() || (!present_.contains(real) && real != kDefaultFolder)) continue;
      found_.insert(real);
      return;
    }
  }

  bool is_missing(const std::string& folder) const { return !present_.contains(folder); }
  std::vector<std::string> found() const { return {found_.begin(), found_.end()}; }

 private:
  // Without the bundle's own links.
  std::string resolved(std::string folder) const {
    constexpr int kMaxLinks = 40;  // as the kernel's MAXSYMLINKS
    for (int i = 0; i < kMaxLinks; ++i) {
      std::string_view at = folder;
      while (!at.empty() && !links_.contains(std::string(at))) at = bundle::parent_of(at);
      if (at.empty()) return folder;
      const std::string rest = folder.substr(at.size());
      const std::string target = links_.at(std::string(at));
      folder = (fs::path(bundle::parent_of(at)) / target).lexically_normal().string() + rest;
    }
    return folder;
  }

  std::map<std::string, std::string> links_;
  std::set<std::string, std::less<>> present_;
  std::set<std::string> found_;
};

}  // namespace

void want_own_libc(ElfWant& want, const std::shared_ptr<const ReadableFile>& file, const std::string& bundle_path) {
  const auto elf = open_elf(file);
  const auto loader = elf ? loader_of(*elf) : std::nullopt;
  if (!loader || is_nvidia_program(bundle_path)) return;
  const std::size_t slashes = leading_slashes(*loader);
  if (slashes <= kLoaderRoom) want.interpreter = std::string(kLoaderRoom + 1 - slashes, '/') + *loader;

  const auto rpath = elf->string(DT_RPATH), runpath = elf->string(DT_RUNPATH);
  std::string path = want.rpath ? *want.rpath : runpath ? *runpath : rpath.value_or("");
  if (folders_inside(path, std::string(bundle::parent_of(bundle_path))).empty())
    path += (path.empty() ? "" : ":") + up_from(bundle_path) + kDefaultFolder;
  want.rpath = path;
  want.rpath_tag = RpathTag::kRpath;  // it must serve indirect needs, too
}

void record_loader_room(PlannedMember& member, const std::function<void()>& check) {
  if (member.entry.type != EntryType::kRegular || member.source.empty() || is_nvidia_program(member.entry.path)) return;
  const std::shared_ptr<const ReadableFile> bytes = packed_file(member).bytes;
  const auto elf = open_elf(bytes);
  const auto loader = elf ? loader_of(*elf) : std::nullopt;
  if (!loader || leading_slashes(*loader) <= kLoaderRoom) return;
  const auto segment = std::ranges::find(elf->segments(), PT_INTERP, &Elf64_Phdr::p_type);
  const auto room = static_cast<std::uint32_t>(leading_slashes(*loader) - 1);
  std::vector<bundle::Relocation> records = member.entry.relocations.take();
  records.push_back(
      {.kind = RelocationKind::kInterpreter, .offset = segment->p_offset, .length = room, .capacity = room});
  std::ranges::sort(records, {}, &bundle::Relocation::offset);
  bundle::check_relocations(records, member.entry.size);
  member.entry.relocations = std::move(records);
  if (!member.expected) member.expected = digest_of(*bytes, check);
}

void add_own_libc(PackPlan& plan, LibraryOrigins& origins, const BuildMachine& machine,
                  const std::function<void()>& check) {
  LibraryFolders folders(plan);
  std::uint16_t processor = EM_NONE;
  for (const PlannedMember& member : plan.members) {
    if (check) check();
    if (member.entry.type != EntryType::kRegular || member.source.empty()) continue;
    const bool program = std::ranges::find(member.entry.relocations, RelocationKind::kInterpreter,
                                           &bundle::Relocation::kind) != member.entry.relocations.end();
    if (!program && !has_elf_magic(member.source)) continue;
    const auto elf = open_elf(packed_file(member).bytes);
    if (!elf) continue;
    if (program) processor = elf->machine();
    folders.add(member, describe(*elf), program);
  }
  if (processor == EM_NONE) return;  // nothing here has a loader
  const Glibc glibc = find_glibc(machine.system_folders, processor);
  for (const GlibcFile& file : glibc.files) {
    PlannedMember& member =
        add_file(plan, {.path = kLibcFolder + ("/" + file.name), .source = file.real_path, .layer = "system"});
    member.entry.executable = file.name == glibc.interpreter;
    member.package = origins.find(file.real_path).package;
  }
  PlannedMember& loader = plan.members.emplace_back();
  loader.entry.path = bundle::kOwnLoader;
  loader.entry.type = EntryType::kSymlink;
  loader.entry.link_target = glibc.interpreter;
  loader.entry.layer = "system";
  for (const std::string& folder : folders.found()) {
    if (!folders.is_missing(folder)) continue;
    PlannedMember& member = plan.members.emplace_back();
    member.entry.path = folder;
    member.entry.type = EntryType::kDirectory;
    member.entry.executable = true;
    member.entry.layer = "system";
  }
  plan.info.requires_host.libc = bundle::BundledLibc{
      .version = glibc.version, .interpreter = kLibcFolder + ("/" + glibc.interpreter), .folders = folders.found()};
}

}  // namespace holdall::packer
