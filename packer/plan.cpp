#include "packer/plan.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "bundle/error.h"
#include "bundle/model_digest.h"
#include "packer/closure.h"
#include "packer/faults.h"
#include "packer/file_digests.h"
#include "packer/host_needs.h"
#include "packer/input_file.h"
#include "packer/inputs/tree_walk.h"
#include "packer/library_kinds.h"
#include "packer/library_origin.h"
#include "packer/licences.h"
#include "packer/own_libc.h"
#include "packer/packed_file.h"
#include "packer/plan_layout.h"
#include "packer/relocation/make_relocatable.h"
#include "packer/remember_plan.h"
#include "packer/sbom/sbom.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::Entry;
using bundle::EntryType;
using bundle::Error;
using bundle::ErrorKind;

constexpr const char* kProgramPath = "$ORIGIN/../lib";
constexpr const char* kLibraryPath = "$ORIGIN";

std::string canonical(const std::string& path) {
  std::error_code error;
  fs::path result = fs::canonical(path, error);
  if (error) throw bundle::system_error(error.value(), "open", path);
  return result.string();
}

// Whether the text names "$ORIGIN" itself, so that a library finds its neighbours in a flat folder.
bool reaches_neighbours(const ElfInfo& elf) {
  if (!elf.runpath) return true;  // then the loader's chain, which ends at the program's DT_RPATH, is searched
  const std::string list = ":" + *elf.runpath + ":";
  return list.find(":$ORIGIN:") != list.npos || list.find(":${ORIGIN}:") != list.npos;
}

class Planner {
 public:
  Planner(const Manifest& manifest, const BuildMachine& machine, const PlanOptions& options)
      : manifest_(manifest), machine_(machine), options_(options), origins_(machine.system_root) {
    if (manifest.prefix.empty()) return;
    std::vector<PrefixSpelling> prefixes{{manifest.prefix, ""}};
    if (const std::string real = canonical(manifest.prefix); real != manifest.prefix) prefixes.push_back({real, ""});
    searched_ = known_without(prefixes, "manifest's prefix", options.remembered);
    rewriter_.emplace(std::move(prefixes), ShebangForm::kRelative);
  }

  PackPlan run() {
    const Closure closure =
        compute_closure(manifest_.executables, manifest_.dlopen,
                        {.library_paths = manifest_.library_paths,
                         .system_folders = machine_.system_folders,
                         .groups = manifest_.device == Device::kCuda ? DlopenGroups::kCuda : DlopenGroups::kNone});
    for (std::size_t i = 0; i < manifest_.executables.size(); ++i)
      add_program(manifest_.executables[i], closure.roots[i]);
    for (const PackedLibrary& library : closure.libraries) add_library(library);
    explain_host_libraries(closure);
    for (const FileMapping& mapping : manifest_.files) add_mapping(mapping);
    add_model();
    auto host_links = add_layers();
    if (manifest_.libc == Libc::kBundled) add_own_libc(plan_, origins_, machine_, options_.check);
    add_licences(plan_, origins_, machine_.system_root);
    plan_.slim_drops = slim(plan_.members, options_.slimming);
    digest_originals();
    add_sbom(plan_, origins_,
             {.name = manifest_.name,
              .version = manifest_.version,
              .system_root = machine_.system_root,
              .threads = options_.threads,
              .check = options_.check});
    add_relocation_list(plan_.members, std::move(host_links));
    add_parent_folders(plan_);
    sort_for_start_up(plan_);
    refuse_collisions(plan_, faults_);
    report_faults();
    describe(closure);
    add_leak_sources();
    forget_telling_edits(plan_);
    return std::move(plan_);
  }

 private:
  PlannedMember& add(const std::string& path, const std::string& source, const std::string& layer) {
    if (!source.empty()) return add_file(plan_, {path, source, layer});
    PlannedMember& member = plan_.members.emplace_back();
    member.entry.path = path;
    member.entry.layer = layer;
    return member;
  }

  void add_program(const std::string& source, const ElfInfo& elf) {
    PlannedMember& member = add("bin/" + fs::path(source).filename().string(), source, "app");
    member.entry.executable = true;
    const bool needs_ours = std::ranges::any_of(
        elf.needed, [](const std::string& name) { return !is_glibc_library(name) && !is_driver_library(name); });
    ElfWant want;
    if (needs_ours) want.rpath = kProgramPath;
    edit_program(member, std::move(want));
    if (manifest_.libc == Libc::kBundled) record_loader_room(member, options_.check);
  }

  void add_library(const PackedLibrary& library) {
    PlannedMember& member = add("lib/" + library.name, library.path, "runtime");
    const LibraryOrigin origin = origins_.find(library.real_path);
    member.package = origin.package;
    if (origin.system) member.entry.layer = "system";
    const bool nvidia = is_nvidia_library(library.name) || origin.package.starts_with("nvidia_");
    if (origin.package.empty() && lies_in_system(library.path)) {
      plan_.warnings.push_back("'" + library.path + "' belongs to no package: no licence is packed with it");
    }
    if (nvidia) {
      member.entry.vendor = true;
      member.entry.layer = "cuda";
      if (!origin.digest)
        plan_.warnings.push_back("'" + library.path +
                                 "' lies in no wheel: nothing proves that it is as NVIDIA published it");
      if (!reaches_neighbours(library.elf)) lead_vendor_to_neighbours(member, library);
    } else if (library.elf.rpath || library.elf.runpath) {
      edit(member, {.rpath = kLibraryPath, .rpath_tag = RpathTag::kRpath, .interpreter = {}});
    }
    member.expected = origin.digest;
    const std::string layer = member.entry.layer;
    for (const std::string& alias : library.aliases) add_link("lib/" + alias, library.name, layer);
    plan_.explanations.push_back({.name = library.name,
                                  .aliases = library.aliases,
                                  .origin = library.path + (origin.package.empty() ? "" : " (" + origin.package + ")"),
                                  .reason = library.reason,
                                  .by = library.needed_by});
  }

  void lead_vendor_to_neighbours(PlannedMember& member, const PackedLibrary& library) {
    const std::string fault = "'" + library.path + "' finds its libraries by '" + *library.elf.runpath +
                              "' only, which leads nowhere in a bundle";
    if (options_.vendor_edits == VendorEdits::kRefuse) {
      faults_.add(fault +
                  ", and NVIDIA's licence lets its files be passed on unmodified only: --allow-vendor-edits if "
                  "you may");
      return;
    }
    edit(member, {.rpath = kLibraryPath, .rpath_tag = RpathTag::kRpath, .interpreter = {}});
    plan_.warnings.push_back(fault + ": edited, as --allow-vendor-edits says");
    std::string& edited = plan_.info.build["vendor_edits"];
    edited += (edited.empty() ? "" : " ") + member.entry.path;
  }

  // Of what is edited, the digest before that: so that it can be had back, and compared with its wheel's RECORD. What
  // is packed as it is, is compared while it is read.
  void digest_originals() {
    std::vector<PlannedMember*> edited;
    std::vector<std::string> paths;
    for (PlannedMember& member : plan_.members) {
      if (!member.entry.elf || member.entry.elf->original_digest != bundle::Digest{}) continue;
      edited.push_back(&member);
      paths.push_back(member.source);
    }
    const std::vector<bundle::Digest> digests =
        file_digests(paths, options_.threads, options_.check, options_.remembered);
    for (std::size_t i = 0; i < edited.size(); ++i) {
      PlannedMember& member = *edited[i];
      member.entry.elf->original_digest = digests[i];
      const Box<bundle::Digest> recorded = std::exchange(member.expected, std::nullopt);
      if (!recorded || *recorded == digests[i]) continue;
      const std::string finding = "'" + member.source + "' is not as its wheel's RECORD says";
      if (member.entry.vendor)
        faults_.add(finding + ": reinstall its package");
      else
        plan_.warnings.push_back(finding);
    }
  }

  void add_link(const std::string& path, const std::string& target, const std::string& layer) {
    PlannedMember& link = add(path, {}, layer);
    link.entry.type = EntryType::kSymlink;
    link.entry.link_target = target;
  }

  bool lies_in_system(const std::string& path) const {
    return std::ranges::find(machine_.system_folders, fs::path(path).parent_path().string()) !=
           machine_.system_folders.end();
  }

  void explain_host_libraries(const Closure& closure) {
    for (const auto& [name, by] : closure.on_host) {
      const bool driver = is_driver_library(name);
      plan_.explanations.push_back(
          {.name = name,
           .aliases = {},
           .origin = driver ? "from the host: it must fit the kernel's driver"
                     : manifest_.libc == Libc::kBundled
                         ? "from the host, or the bundle's own in libc/ where the host's is too old"
                         : "from the host: the C library goes with the host's loader",
           .reason = "needed by",
           .by = by});
    }
  }

  // Its digest before the edit is computed at once where relocation wants the one after it, too.
  void edit_program(PlannedMember& member, ElfWant want) {
    const bool own_libc = manifest_.libc == Libc::kBundled;
    const auto input = std::make_shared<const InputFile>(member.source);
    if (own_libc) want_own_libc(want, input, member.entry.path);
    if (want.rpath || want.interpreter) edit(member, want);
    if (own_libc && member.entry.elf) member.entry.elf->original_digest = digest_of(*input, options_.check);
  }

  void edit(PlannedMember& member, const ElfWant& want) {
    ElfEdit planned = plan_edit(ElfFile(member.source), want);
    if (planned.empty()) return;
    member.entry.elf = record_of(planned, {});  // its digest: digest_originals()
    member.entry.size = planned.size();
    member.change().edit = std::move(planned);
  }

  void add_mapping(const FileMapping& mapping) {
    if (!fs::is_directory(mapping.from)) {
      Member file;
      file.size = InputFile(mapping.from).size();
      file.executable = is_marked_executable(mapping.from);
      add_data(mapping.to, mapping.from, file);
      return;
    }
    const std::string folder = canonical(mapping.from);
    const TreeWalk walk = walk_tree(folder, {.given = mapping.from, .check = options_.check});
    plan_.warnings.insert(plan_.warnings.end(), walk.warnings.begin(), walk.warnings.end());
    if (walk.members.empty()) add_folder(mapping.to, "app");
    for (const Member& file : walk.members)
      add_data(mapping.to + "/" + file.path, mapping.from + "/" + file.path, file);
  }

  static bool is_marked_executable(const std::string& path) {
    return (fs::status(path).permissions() &
            (fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec)) != fs::perms::none;
  }

  void add_data(const std::string& path, const std::string& source, const Member& file) {
    if (is_driver_library(fs::path(path).filename().string()) || is_stub(path)) {
      faults_.add("'" + source + "' " +
                  (is_stub(path) ? "is a stub for linking, not a library"
                                 : "belongs to the driver and must come from the host") +
                  ": leave it out");
    }
    PlannedMember& member = add(path, file.type == EntryType::kRegular ? source : "", "app");
    member.entry.type = file.type;
    member.entry.executable = file.executable;
    member.entry.link_target = file.link_target;
    if (file.type != EntryType::kRegular) return;
    const bool own_loader = manifest_.libc == Libc::kBundled && file.executable && has_elf_magic(source);
    if (own_loader) edit_program(member, {});
    rewrite(member);
    if (own_loader) record_loader_room(member, options_.check);
  }

  void rewrite(PlannedMember& member) {
    if (!rewriter_ || known_as_planned(searched_, member) != nullptr) return;
    const auto bytes = packed_file(member).bytes;
    put_rewrite(member, bytes, rewriter_->plan(*bytes, {.bundle_path = member.entry.path}, options_.check),
                options_.check);
    if (!member.special().splices.empty()) member.entry.elf.reset();  // undone, it is not the original
  }

  void add_folder(const std::string& path, const std::string& layer) {
    PlannedMember& member = add(path, {}, layer);
    member.entry.type = EntryType::kDirectory;
    member.entry.executable = true;
  }

  // Whole environments. Returns what relocation is to link to on the host.
  std::vector<bundle::HostLink> add_layers() {
    if (manifest_.layers.empty()) return {};
    std::vector<InputRequest> inputs;
    for (const LayerSource& layer : manifest_.layers) inputs.push_back(layer.input);
    const Collection collection = collect(inputs, options_.check);
    RelocatableInputs layers = make_relocatable(collection, {.shebang = options_.shebang,
                                                             .libc = manifest_.libc,
                                                             .slimming = options_.slimming,
                                                             .mtime = options_.mtime,
                                                             .threads = options_.threads,
                                                             .check = options_.check,
                                                             .remembered = options_.remembered});
    std::ranges::move(layers.members, std::back_inserter(plan_.members));
    plan_.warnings.insert(plan_.warnings.end(), layers.warnings.begin(), layers.warnings.end());
    add_build_prefixes(plan_, collection);
    return std::move(layers.host_links);
  }

  void add_model() {
    if (!manifest_.model) return;
    const ModelSource& source = *manifest_.model;
    bundle::Model model{.path = {},
                        .name = source.name,
                        .external = source.external,
                        .digest = source.digest,
                        .bytes = 0,
                        .golden = source.golden};
    if (!source.external) {
      model.path = "model";
      const TreeWalk walk = walk_tree(canonical(source.path), {.links = Links::kFollow, .check = options_.check});
      plan_.warnings.insert(plan_.warnings.end(), walk.warnings.begin(), walk.warnings.end());
      std::vector<std::string> names, paths;
      std::vector<std::size_t> members;
      for (const Member& file : walk.members) {
        const bool is_file = file.type == EntryType::kRegular;
        const std::string path = source.path + "/" + file.path;
        PlannedMember& member = add("model/" + file.path, is_file ? path : "", "model");
        member.entry.type = file.type;
        member.entry.executable = !is_file;
        model.bytes += file.size;
        if (!is_file) continue;
        names.push_back(file.path);
        paths.push_back(path);
        members.push_back(plan_.members.size() - 1);
      }
      if (paths.empty()) faults_.add("the model folder '" + source.path + "' holds no file");
      const std::vector<bundle::Digest> found =
          file_digests(paths, options_.threads, options_.check, options_.remembered);
      std::vector<std::pair<std::string, bundle::Digest>> digests;
      for (std::size_t k = 0; k < found.size(); ++k) {
        plan_.members[members[k]].expected = found[k];
        digests.emplace_back(names[k], found[k]);
      }
      model.digest = bundle::to_string(bundle::model_digest(std::move(digests)));
    }
    plan_.info.model = std::move(model);
  }

  const PlannedMember* find_file(const std::string& path) const {
    const auto found =
        std::ranges::find(plan_.members, path, [](const PlannedMember& member) { return member.entry.path.view(); });
    return found == plan_.members.end() || found->entry.type != EntryType::kRegular ? nullptr : &*found;
  }

  void report_faults() {
    if (manifest_.service) {
      const std::string& program = manifest_.service->exec.front();
      const PlannedMember* found = find_file(program);
      if (found == nullptr || !found->entry.executable)
        faults_.add("'" + program + "' of /service/exec/0 is no program of the bundle");
    }
    if (manifest_.model) {
      for (const auto& [field, picture] : manifest_.model->golden_pictures)
        if (find_file(picture) == nullptr)
          faults_.add("'" + picture + "' of /model/golden/" + field + " is no file of the bundle");
    }
    faults_.report();
  }

  void describe(const Closure& closure) {
    bundle::BundleInfo& info = plan_.info;
    info.tool_version = HOLDALL_VERSION;
    info.name = manifest_.name;
    info.version = manifest_.version;
    info.service = manifest_.service;
    std::map<std::string, StartUpElf> start_up;
    for (std::size_t i = 0; i < closure.roots.size(); ++i) {
      start_up["bin/" + fs::path(manifest_.executables[i]).filename().string()] = {.elf = &closure.roots[i]};
    }
    for (const PackedLibrary& library : closure.libraries) {
      start_up["lib/" + library.name] = {.elf = &library.elf, .on_demand = library.on_demand};
    }
    derive_host_needs(plan_, start_up,
                      {.device = manifest_.device, .threads = options_.threads, .check = options_.check});
    info.requires_host.memory_bytes = manifest_.memory_bytes;
    info.requires_host.gpu_memory_bytes = manifest_.gpu_memory_bytes;
    // Where nobody has measured it: the weights must fit, at least.
    std::uint64_t& unknown =
        manifest_.device == Device::kCuda ? info.requires_host.gpu_memory_bytes : info.requires_host.memory_bytes;
    if (unknown == 0) unknown = weight_bytes();
    count_members(plan_);
  }

  // Of the packed model. A safetensors file is its tensors, each in its own dtype, and some KiB of header.
  std::uint64_t weight_bytes() const {
    std::uint64_t bytes = 0;
    for (const PlannedMember& member : plan_.members) {
      if (member.entry.layer == "model" && member.entry.path.ends_with(".safetensors")) bytes += member.entry.size;
    }
    return bytes;
  }

  void add_leak_sources() {
    if (!manifest_.prefix.empty()) {
      for (const std::string& spelling : {manifest_.prefix, canonical(manifest_.prefix)}) {
        plan_.leak_sources.push_back({spelling, "build prefix", LeakKind::kPath});
      }
    }
    add_source_folder(plan_, manifest_.folder);
    for (const std::string& path : manifest_.executables)
      add_source_folder(plan_, fs::path(path).parent_path().string());
    for (const std::string& path : manifest_.library_paths) add_source_folder(plan_, path);
    for (const FileMapping& mapping : manifest_.files)
      add_source_folder(plan_, fs::path(mapping.from).parent_path().string());
    if (manifest_.model && !manifest_.model->path.empty()) add_source_folder(plan_, manifest_.model->path);
    add_build_machine(plan_, machine_);
  }

  const Manifest& manifest_;
  const BuildMachine& machine_;
  const PlanOptions& options_;
  LibraryOrigins origins_;
  std::optional<PrefixRewriter> rewriter_;  // if there is a prefix
  const Remembered* searched_ = nullptr;    // files without it, if they are known
  PackPlan plan_;
  Faults faults_;
};

}  // namespace

PlannedEntry::operator Entry() const {
  Entry entry;
  entry.path = path;
  entry.type = type;
  entry.executable = executable;
  entry.size = size;
  entry.link_target = link_target;
  entry.relocations = relocations;
  entry.elf = elf.optional();
  entry.vendor = vendor;
  if (kernels) entry.kernels = *kernels;
  entry.layer = layer;
  return entry;
}

BuildMachine this_machine() {
  BuildMachine machine;
  if (const char* const home = std::getenv("HOME")) machine.home = home;
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) == 0) machine.host_name = name;
  machine.system_folders = system_library_folders();
  return machine;
}

PackPlan plan_service(const Manifest& manifest, const BuildMachine& machine, const PlanOptions& options) {
  return Planner(manifest, machine, options).run();
}

}  // namespace holdall::packer
