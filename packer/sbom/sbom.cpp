#include "packer/sbom/sbom.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <sstream>
#include <utility>
#include <vector>

#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "packer/elf_file.h"
#include "packer/in_parallel.h"
#include "packer/inputs/conda_record.h"
#include "packer/packed_file.h"
#include "packer/sbom/conda_package.h"
#include "packer/sbom/cyclonedx.h"
#include "packer/sbom/debian_package.h"
#include "packer/sbom/elf_identity.h"
#include "packer/sbom/purl.h"
#include "packer/sbom/python_metadata.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;

constexpr std::uint64_t kMaxMetadata = 256 << 10;  // of its headers
constexpr int kMaxLinks = 8;
constexpr std::string_view kNoDigest = "0000000000000000000000000000000000000000000000000000000000000000";

std::string name_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? "" : name_of(path.substr(0, slash));
}

// METADATA of an installed wheel, PKG-INFO of an older way to install.
bool is_python_metadata(const PlannedMember& member) {
  const std::string folder = folder_of(member.entry.path), name = name_of(member.entry.path);
  return (name == "METADATA" && folder.ends_with(".dist-info")) ||
         (name == "PKG-INFO" && folder.ends_with(".egg-info"));
}

// Names decide here, as opening each of a million files would take seconds.
bool may_be_elf(const PlannedMember& member) {
  if (member.source.empty() || member.entry.layer == "model") return false;
  return member.entry.executable || name_of(member.entry.path).find(".so") != std::string::npos;
}

std::string start_of(const ReadableFile& file, std::uint64_t limit) {
  std::string text(static_cast<std::size_t>(std::min(file.size(), limit)), '\0');
  text.resize(file.read_some(0, std::as_writable_bytes(std::span(text))));
  return text;
}

// The input as it was found; what relocation changes in it does not matter here.
std::string contents_of(const PlannedMember& member, std::uint64_t limit) {
  return member.source.empty() ? std::string(member.special().contents.substr(0, limit))
                               : start_of(InputFile(member.source), limit);
}

// Folders of the bundle where the loader looks for what a file needs, as the file itself says.
std::vector<fs::path> search_folders(const ElfFile& file, const fs::path& bundle_path) {
  std::vector<fs::path> result;
  std::string all = file.string(DT_RUNPATH).value_or(file.string(DT_RPATH).value_or(""));
  std::istringstream pieces(all);
  for (std::string piece; std::getline(pieces, piece, ':');) {
    for (const std::string_view origin : {"$ORIGIN", "${ORIGIN}"}) {
      if (piece != origin && !piece.starts_with(std::string(origin) + "/")) continue;
      result.push_back(bundle_path.parent_path() / ("." + piece.substr(origin.size())));
    }
  }
  return result;
}

class SbomMaker {
 public:
  SbomMaker(PackPlan& plan, const LibraryOrigins& origins, const SbomOptions& options)
      : plan_(plan), origins_(origins), options_(options) {}

  std::string run() {
    for (const FoundPackage& package : origins_.packages()) add_found(package);
    for (const PlannedMember& member : plan_.members)
      if (is_regular(member) && member.conda_record) add_conda(member);
    for (const PlannedMember& member : plan_.members)
      if (is_regular(member) && is_python_metadata(member)) add_python(member);
    add_model();
    add_elf_files();
    resolve_needs();
    return with_gaps(to_cyclonedx(finished()));
  }

 private:
  // Names that a component needs, to be looked up among those of its own ecosystem ("deb", "pypi", "conda").
  struct Needs {
    std::string ecosystem, ref;
    std::set<std::string> names;
  };

  static bool is_regular(const PlannedMember& member) { return member.entry.type == EntryType::kRegular; }

  // The component, or the one that is there already.
  SbomComponent& add(SbomComponent&& component) {
    return components_.try_emplace(component.ref, std::move(component)).first->second;
  }

  void add_package(const std::string& ecosystem, const std::string& name, std::set<std::string> needs,
                   const std::string& label, SbomComponent component) {
    const std::string ref = component.ref;
    by_name_.try_emplace(ecosystem + "/" + name, ref);
    needs_.push_back({ecosystem, ref, std::move(needs)});
    by_label_.try_emplace(label, ref);
    add(std::move(component));
  }

  void add_found(const FoundPackage& package) {
    if (package.debian) {
      if (!distribution_) distribution_ = read_distribution(options_.system_root);
      add_package("deb", package.debian->name, package.debian->depends, package.label,
                  component_of(*package.debian, *distribution_));
      return;
    }
    std::error_code error;
    if (!fs::is_regular_file(package.metadata, error)) return;
    add_wheel(start_of(InputFile(package.metadata), kMaxMetadata), package.label, "");
  }

  void add_conda(const PlannedMember& member) {
    const CondaRecord record = parse_conda_record(contents_of(member, kLargestCondaRecord), member.entry.path);
    SbomComponent component = component_of(record);
    component.evidence = member.entry.path;
    add_package("conda", record.name, needed_packages(record), record.name + "-" + record.version,
                std::move(component));
  }

  void add_python(const PlannedMember& member) {
    const std::string folder = folder_of(member.entry.path);
    const std::string ref =
        add_wheel(contents_of(member, kMaxMetadata), folder.substr(0, folder.rfind('.')), member.entry.path);
    // A conda package that brings a Python package: scanners know that by its other name.
    const auto owner = by_label_.find(member.package);
    if (!ref.empty() && owner != by_label_.end()) components_.at(owner->second).depends_on.insert(ref);
  }

  // Its ref; empty: the metadata name nothing.
  std::string add_wheel(const std::string& text, const std::string& label, const std::string& evidence) {
    PythonMetadata metadata = parse_python_metadata(text);
    if (metadata.name.empty()) return {};
    SbomComponent component;
    component.name = metadata.name;
    component.version = metadata.version;
    component.purl = to_string(Purl{.type = "pypi", .name = pypi_name(metadata.name), .version = metadata.version});
    component.ref = component.purl;
    component.licence_expression = std::move(metadata.licence_expression);
    component.licences = std::move(metadata.licences);
    component.evidence = evidence;
    std::string ref = component.ref;
    add_package("pypi", normalized_name(metadata.name), std::move(metadata.needs), label, std::move(component));
    return ref;
  }

  void add_model() {
    const auto& model = plan_.info.model;
    if (!model || model->external) return;
    SbomComponent component{.type = "machine-learning-model", .ref = "model:" + model->name, .name = model->name};
    if (!model->digest.empty()) component.properties["holdall:model_digest"] = model->digest;
    component.evidence = model->path;
    add(std::move(component));
  }

  struct Elf {
    PlannedMember* member = nullptr;
    SbomFile file = {};
    std::optional<SbomComponent> noted = {};
    std::vector<std::string> needed = {};
    std::vector<fs::path> folders = {};  // where it looks for them first
    bool claimed = false;                // by a package
    std::string ref = {};                // its component
  };

  void add_elf_files() {
    for (PlannedMember& member : plan_.members) {
      if (!is_regular(member) || !may_be_elf(member) || !is_elf(member)) continue;
      elf_files_.push_back({.member = &member,
                            .file = {.path = member.entry.path, .digest = member.expected.optional()},
                            .claimed = by_label_.contains(member.package)});
    }
    in_parallel(elf_files_.size(), options_.threads, [&](std::size_t i) { examine(elf_files_[i]); });
    for (Elf& elf : elf_files_) {
      if (elf.claimed) {
        elf.ref = by_label_.at(elf.member->package);
        components_.at(elf.ref).files.push_back(std::move(elf.file));
      } else {
        named_.insert(elf.member->entry.path);
        if (!elf.file.digest) elf.file.digest = stand_in(*elf.member);
        elf.ref = add_file(elf);
      }
      owners_.emplace(elf.member->entry.path, elf.ref);
    }
  }

  void examine(Elf& elf) const {
    if (options_.check) options_.check();
    const auto packed = packed_file(*elf.member).bytes;
    try {
      const ElfFile file(packed);
      elf.file.build_id = build_id(file);
      if (!elf.claimed) elf.noted = noted_package(file);
      if (!elf.claimed) elf.needed = file.strings(DT_NEEDED);
      if (!elf.claimed) elf.folders = search_folders(file, elf.member->entry.path.view());
    } catch (const bundle::Error& error) {
      if (error.kind() != bundle::ErrorKind::kCannotPack) throw;  // broken headers: bytes like others
    }
  }

  // Found again in the document by with_gaps(), as no other digest is like it.
  bundle::Digest stand_in(PlannedMember& member) {
    const bundle::Digest digest = bundle::sha256(bundle::as_byte_span("digest of " + member.entry.path));
    waiting_.emplace(bundle::to_hex(digest), &member);
    return digest;
  }

  // Puts zeros for the stand-ins, and notes where: the order of components is the document's alone.
  std::string with_gaps(std::string document) {
    static constexpr std::string_view kContent = "\"content\": \"";
    for (std::size_t at = document.find(kContent); at != document.npos; at = document.find(kContent, at)) {
      at += kContent.size();
      const auto found = waiting_.find(document.substr(at, kNoDigest.size()));
      if (found == waiting_.end()) continue;
      found->second->change().sbom_digest = at;
      document.replace(at, kNoDigest.size(), kNoDigest);
    }
    renumber(document);
    return document;
  }

  std::string add_file(Elf& elf) {
    SbomComponent component;
    if (elf.noted) {
      component = *std::move(elf.noted);
      component.evidence = elf.file.path;
    } else {
      component.type = "file";
      component.ref = "file:" + elf.file.path;
      component.name = elf.file.path;
      component.hashes["SHA-256"] = bundle::to_hex(elf.file.digest.value());
      if (!elf.file.build_id.empty()) component.properties["holdall:build_id"] = elf.file.build_id;
    }
    const bool is_package = component.type != "file";
    SbomComponent& added = add(std::move(component));
    if (is_package) added.files.push_back(std::move(elf.file));
    return added.ref;
  }

  // Whose library lies at that place of the bundle, links followed; empty: nobody's.
  std::string owner_at(fs::path path) const {
    for (int i = 0; i < kMaxLinks; ++i) {
      path = path.lexically_normal();
      if (const auto found = owners_.find(path.string()); found != owners_.end()) return found->second;
      fs::path at, next;
      for (const fs::path& part : path) {
        const auto link = next.empty() ? links_.find((at / part).string()) : links_.end();
        if (link != links_.end())
          next = at / link->second;
        else
          (next.empty() ? at : next) /= part;
      }
      if (next.empty()) return {};
      path = std::move(next);
    }
    return {};
  }

  // Whom the files need that belong to no package. What they do not say where to look for is known by its name, if all
  // of that name belong to one.
  void resolve_libraries() {
    std::map<std::string, std::set<std::string>> by_file_name;
    for (const Elf& elf : elf_files_)
      for (const std::string& name : elf.needed) by_file_name[name];
    const auto note = [&](const std::string& path, const std::string& ref) {
      const auto wanted = by_file_name.find(name_of(path));
      if (wanted != by_file_name.end() && !ref.empty()) wanted->second.insert(ref);
    };
    for (const auto& [path, ref] : owners_) note(path, ref);
    for (const auto& [path, target] : links_)
      if (by_file_name.contains(name_of(path))) note(path, owner_at(path));
    for (const Elf& elf : elf_files_) {
      for (const std::string& name : elf.needed) {
        std::string owner;
        for (const fs::path& folder : elf.folders)
          if (owner.empty()) owner = owner_at(folder / name);
        if (const auto& named = by_file_name[name]; owner.empty() && named.size() == 1) owner = *named.begin();
        if (!owner.empty()) components_.at(elf.ref).depends_on.insert(owner);
      }
    }
  }

  void resolve_needs() {
    for (const Needs& needs : needs_) {
      for (const std::string& name : needs.names) {
        const auto found = by_name_.find(needs.ecosystem + "/" + name);
        if (found != by_name_.end()) components_.at(needs.ref).depends_on.insert(found->second);
      }
    }
    for (const PlannedMember& member : plan_.members) {
      if (member.entry.type == EntryType::kSymlink) links_.emplace(member.entry.path, member.entry.link_target);
    }
    resolve_libraries();
    if (!distribution_) return;
    // What trivy goes by: the packages of an operating system hang below it.
    SbomComponent system{.type = "operating-system",
                         .ref = "os:" + distribution_->id,
                         .name = distribution_->id,
                         .version = distribution_->version};
    for (const auto& [ref, component] : components_)
      if (ref.starts_with("pkg:deb/" + distribution_->id + "/")) system.depends_on.insert(ref);
    add(std::move(system));
  }

  Sbom finished() {
    Sbom result;
    result.tool_version = HOLDALL_VERSION;
    // No purl, so that no component can have the same.
    result.subject = {
        .type = "application", .ref = "bundle:" + options_.name, .name = options_.name, .version = options_.version};
    result.subject.purl = to_string(Purl{.type = "generic", .name = options_.name, .version = options_.version});
    const auto unclaimed = std::ranges::count_if(plan_.members, [&](const PlannedMember& member) {
      return is_regular(member) && member.package.empty() && member.entry.layer != "model" &&
             !member.entry.path.starts_with("share/licenses/") && !named_.contains(member.entry.path);
    });
    result.complete = unclaimed == 0;
    result.subject.properties["holdall:files_of_no_component"] = std::to_string(unclaimed);
    for (auto& [ref, component] : components_) {
      std::ranges::sort(component.files, {}, &SbomFile::path);
      result.components.push_back(std::move(component));
    }
    return result;
  }

  PackPlan& plan_;
  const LibraryOrigins& origins_;
  const SbomOptions& options_;
  std::optional<Distribution> distribution_;         // if there is a package of Debian's
  std::map<std::string, SbomComponent> components_;  // by ref
  std::map<std::string, std::string> by_label_;      // PlannedMember::package → ref
  std::map<std::string, std::string> by_name_;       // "deb/zlib1g" → ref
  std::vector<Elf> elf_files_;
  std::map<std::string, std::string> owners_;  // path of a program or library → ref
  std::map<std::string, std::string> links_;   // path of a link → target
  std::vector<Needs> needs_;
  std::map<std::string, PlannedMember*> waiting_;  // hex digits that stand for the digest of a member
  std::set<std::string> named_;                    // paths of programs and libraries of no package
};

}  // namespace

void add_sbom(PackPlan& plan, const LibraryOrigins& origins, const SbomOptions& options) {
  std::erase_if(plan.members, [](const PlannedMember& member) { return member.entry.path == kSbomPath; });
  std::string document = SbomMaker(plan, origins, options).run();
  PlannedMember& member = plan.members.emplace_back();
  member.entry.path = kSbomPath;
  member.entry.layer = "app";
  member.sbom = true;
  member.entry.size = document.size();
  member.change().contents = std::move(document);
}

std::string completed_sbom(const PackPlan& plan, const bundle::EntryStore& written) {
  std::string document = plan.members.back().special().contents;
  bundle::EntryStore::Cursor entries(written);
  entries.next();  // bundle.json
  for (const PlannedMember& member : plan.members) {
    const bundle::Entry* const entry = entries.next();
    if (member.special().sbom_digest)
      document.replace(*member.special().sbom_digest, kNoDigest.size(), bundle::to_hex(entry->digest));
  }
  renumber(document);
  return document;
}

}  // namespace holdall::packer
