#include "packer/relocation/make_relocatable.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <span>

#include "bundle/error.h"
#include "bundle/prefix_check.h"
#include "packer/activate_scripts.h"
#include "packer/elf/edited_file.h"
#include "packer/file_digests.h"
#include "packer/in_parallel.h"
#include "packer/inputs/conda_record.h"
#include "packer/inputs/site_packages.h"
#include "packer/leak_audit.h"
#include "packer/own_libc.h"
#include "packer/packed_file.h"
#include "packer/relocation/prefix_rewrite.h"
#include "packer/relocation/pyc.h"
#include "packer/relocation/record_update.h"
#include "packer/remember_plan.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;
using bundle::Error;
using bundle::ErrorKind;
using FilePointer = std::shared_ptr<const ReadableFile>;

// Members that join those of an environment: scripts, licences, folders. Where they find no room, all move, and for a
// moment take twice the memory.
constexpr std::size_t kAddedLater = 1024;

constexpr std::uint64_t kLargestPyc = std::uint64_t{64} << 20;

// A record without where the package came from on the build machine, and without who was let in where it was fetched.
std::string without_build_machine(const std::string& record, const std::string& path) {
  nlohmann::ordered_json document;
  try {
    document = nlohmann::ordered_json::parse(record);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kCannotPack, "'" + path + "' is broken: " + error.what() + ": reinstall the package");
  }
  for (const char* const key : {"extracted_package_dir", "package_tarball_full_path"})
    if (document.contains(key)) document[key] = "";
  if (document.contains("link") && document["link"].is_object() && document["link"].contains("source"))
    document["link"]["source"] = "";
  const auto clean = [](nlohmann::ordered_json& value) {
    if (value.is_string()) value = without_credentials(value.get<std::string>());
  };
  for (const char* const key : {"url", "channel", "requested_spec"})
    if (document.contains(key)) clean(document[key]);
  if (document.contains("requested_specs") && document["requested_specs"].is_array())
    for (nlohmann::ordered_json& value : document["requested_specs"]) clean(value);
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// A line with words that may be addresses, as specs are: with and without quotes.
std::string with_clean_addresses(std::string_view line) {
  std::string result;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find_first_of(" \t\r\n'\""), line.size());
    result += without_credentials(std::string(line.substr(0, end)));
    result += line.substr(end, 1);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return result;
}

// conda's log of an environment: its commands hold paths of the build machine, and conda does not need them. Specs and
// packages name channels, and these who was let in.
std::string published_history(std::string_view history) {
  std::string result;
  while (!history.empty()) {
    const std::string_view line = history.substr(0, std::min(history.find('\n'), history.size() - 1) + 1);
    history.remove_prefix(line.size());
    const std::size_t word = std::min(line.find_first_not_of(" \t", 1), line.size());
    if (!line.starts_with('#') || !line.substr(word).starts_with("cmd:")) result += with_clean_addresses(line);
  }
  return result;
}

class Stage {
 public:
  Stage(const Collection& collection, const RelocationOptions& options) : collection_(collection), options_(options) {
    std::vector<PrefixSpelling> prefixes;
    for (const InputRoot& root : collection.roots)
      for (const std::string& prefix : root.prefixes) prefixes.push_back({prefix, root.to, root.self_locating});
    std::ranges::stable_sort(prefixes, std::greater{}, [](const PrefixSpelling& prefix) { return prefix.text.size(); });
    prefixes_ = prefixes;
    for (const PackageRecord& package : collection.packages) packages_.push_back(package.name + "-" + package.version);
    rewriter_ = std::make_unique<PrefixRewriter>(std::move(prefixes), options.shebang);
    // A destination is no leak, so that the audit may look for less.
    if (options.destination.empty()) remembered_ = known_without(prefixes_, "prefixes", options.remembered);
  }

  RelocatableInputs run() {
    RelocatableInputs result;
    result.warnings = collection_.warnings;
    sort_places();
    members_.reserve(collection_.members.size() + collection_.members.size() / 16 + kAddedLater);
    members_.resize(collection_.members.size());
    left_out_.resize(members_.size());
    in_parallel(members_.size(), options_.threads, [&](std::size_t i) { keep(i, outcome(collection_.members[i])); });
    leave_out_changing();
    settle();
    update_wheel_records();
    for (const auto& [index, warning] : warnings_) result.warnings.push_back(warning);
    std::size_t kept = 0;  // where they are: of a million files, they are most of the memory
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const Member& member = collection_.members[i];
      if (member.role == MemberRole::kHostLink) {
        result.host_links.push_back({bundle_path(collection_, member), member.link_target});
      } else if (left_out_[i] == 0) {
        if (kept != i) members_[kept] = std::move(members_[i]);
        ++kept;
      }
    }
    members_.resize(kept);
    result.members = std::move(members_);
    for (const InputRoot& root : collection_.roots) add_activate_scripts(root, result);
    add_launcher(result);
    return result;
  }

 private:
  struct Outcome {
    PlannedMember member;
    bool left_out = false;
    std::string warning;
  };

  void keep(std::size_t index, Outcome outcome) {
    members_[index] = std::move(outcome.member);
    left_out_[index] = outcome.left_out ? 1 : 0;
    if (outcome.warning.empty()) return;
    const std::lock_guard lock(mutex_);
    warnings_.emplace(index, std::move(outcome.warning));
  }

  std::string place_of(std::size_t index) const { return bundle_path(collection_, collection_.members[index]); }

  void sort_places() {
    by_place_.resize(collection_.members.size());
    std::iota(by_place_.begin(), by_place_.end(), std::size_t{0});
    const auto place = [this](std::size_t index) { return place_of(index); };
    if (!std::ranges::is_sorted(by_place_, {}, place)) std::ranges::sort(by_place_, {}, place);
  }

  // The index of the member at that place of the bundle.
  std::optional<std::size_t> find_place(const std::string& path) const {
    const auto found =
        std::ranges::lower_bound(by_place_, path, {}, [this](std::size_t index) { return place_of(index); });
    return found != by_place_.end() && place_of(*found) == path ? std::optional(*found) : std::nullopt;
  }

  Outcome outcome(const Member& member) const {
    if (options_.check) options_.check();
    Outcome result;
    PlannedEntry& entry = result.member.entry;
    entry.path = bundle_path(collection_, member);
    entry.layer = collection_.roots[member.root].layer;
    entry.type = member.type;
    entry.executable = member.executable || member.type == EntryType::kDirectory;
    entry.link_target = member.link_target;
    result.member.conda_record = member.role == MemberRole::kCondaRecord;
    if (member.package != Member::kNone) {
      result.member.package = packages_[member.package];
    }
    if (member.type != EntryType::kRegular || member.role == MemberRole::kHostLink) return result;
    result.left_out = member.role == MemberRole::kVenvActivate;  // ours take their place
    if (result.left_out) return result;
    if (entry.path.ends_with(".pyc")) {
      compiled(member, result);
    } else {
      plain(member, result);
    }
    return result;
  }

  FilePointer open(const Member& member, PlannedMember& planned) const {
    planned.source = source_of(collection_, member);
    if (planned.source.empty()) {
      planned.change().contents = collection_.substitutes[member.substitute].contents;
    } else {
      planned.mtime_ns = member.mtime_ns;
      auto file = std::make_shared<const InputFile>(open_found({planned.source, member.size, member.mtime_ns}));
      if (member.role != MemberRole::kCondaRecord && member.role != MemberRole::kCondaHistory) return file;
      const std::string told = read_whole(*file, kLargestCondaRecord);
      planned.change().contents = member.role == MemberRole::kCondaRecord ? without_build_machine(told, planned.source)
                                                                          : published_history(told);
      planned.source = {};
      planned.mtime_ns = kNoTime;
    }
    return std::make_shared<const MemoryFile>(planned.entry.path, planned.special().contents);
  }

  void plain(const Member& member, Outcome& result) const {
    FilePointer file = open(member, result.member);
    ElfWant want;
    // A packed interpreter loads modules that know nothing of where their libraries lie now. Its DT_RPATH serves them,
    // too.
    if (member.role == MemberRole::kInterpreter) want.rpath = "$ORIGIN/../lib";
    const bool own_libc = options_.libc == Libc::kBundled && !result.member.source.empty();
    if (own_libc) want_own_libc(want, file, result.member.entry.path);
    if (want.rpath || want.interpreter) file = edited(file, want, result.member);
    FileFacts facts{.bundle_path = result.member.entry.path};
    if (member.prefix_use == PrefixUse::kText) facts.kind = ContentKind::kText;
    if (member.prefix_use == PrefixUse::kBinary) facts.kind = ContentKind::kBinary;
    if (member.placeholder != Member::kNone)
      facts.placeholder_length = collection_.placeholders[member.placeholder].size();
    rewrite(result.member, file, facts);
    if (own_libc) record_loader_room(result.member, options_.check);
    const bool as_it_is =
        result.member.special().splices.empty() && !result.member.special().edit && !result.member.source.empty();
    if (as_it_is && member.digest != Member::kNone) result.member.brought = collection_.digests[member.digest];
    if (!result.member.special().splices.empty()) result.member.entry.elf.reset();  // undone, it is not the original
  }

  FilePointer edited(const FilePointer& file, const ElfWant& want, PlannedMember& planned) const {
    ElfEdit edit = plan_edit(ElfFile(file), want);
    if (edit.empty()) return file;
    planned.entry.elf = record_of(edit, digest_of(*file, options_.check));
    planned.change().edit = edit;
    return std::make_shared<const EditedFile>(file, std::move(edit));
  }

  void rewrite(PlannedMember& planned, const FilePointer& file, const FileFacts& facts) const {
    const RememberedFile* const known =
        remembered_ != nullptr && !planned.source.empty() ? remembered_->find(planned.source) : nullptr;
    if (!planned.source.empty())
      planned.magic = (known != nullptr ? known->elf : is_elf(*file)) ? ElfMagic::kPresent : ElfMagic::kAbsent;
    if (known != nullptr && known->edit.empty()) return put_rewrite(planned, file, {}, options_.check);
    put_rewrite(planned, file, rewriter_->plan(*file, facts, options_.check), options_.check);
  }

  // With a destination: whether it suits all files is known before the first gets it.
  void settle() {
    if (options_.destination.empty()) return;
    bundle::PrefixCheck check(options_.destination);
    for (const PlannedMember& member : members_) {
      check.add({member.entry.path, member.entry.executable, member.entry.relocations}, [&] {
        std::string head(bundle::kScriptHead, '\0');
        head.resize(packed_file(member).bytes->read_some(0, std::as_writable_bytes(std::span(head))));
        return head;
      });
    }
    check.require();
    for (PlannedMember& member : members_) settle(member);
  }

  void settle(PlannedMember& member) const {
    if (options_.destination.empty() || member.entry.relocations.empty()) return;
    const std::uint64_t size = original_size(member.entry.size, member.special().splices);
    PrefixRewrite done =
        settled({std::move(member.change().splices), std::move(member.entry.relocations)}, options_.destination);
    member.change().splices = std::move(done.splices);
    member.entry.relocations = std::move(done.relocations);
    member.entry.size = spliced_size(size, member.special().splices);
    member.expected.reset();
  }

  // Nothing can be put into a `bin` that is a link, to usr/bin for one.
  static bool has_linked(const std::string& folder, RelocatableInputs& inputs, const char* lacking) {
    const auto is_link = [&](const PlannedMember& member) {
      return member.entry.path == folder && member.entry.type == EntryType::kSymlink;
    };
    if (std::ranges::none_of(inputs.members, is_link)) return false;
    inputs.warnings.push_back("'" + folder + "' is a link, not a folder: the archive gets no " + lacking);
    return true;
  }

  void add_activate_scripts(const InputRoot& root, RelocatableInputs& inputs) const {
    if (root.kind == InputKind::kPrefix || root.prefixes.empty()) return;
    if (has_linked((root.to.empty() ? "" : root.to + "/") + std::string("bin"), inputs, "bin/activate")) return;
    std::vector<PlannedMember>& members = inputs.members;
    const char* const variable = root.kind == InputKind::kConda ? "CONDA_PREFIX" : "VIRTUAL_ENV";
    for (ActivateScript& script : activate_scripts(variable, root.prefixes.front())) {
      const std::string path = (root.to.empty() ? "" : root.to + "/") + script.path;
      std::erase_if(members, [&](const PlannedMember& member) { return member.entry.path == path; });
      PlannedMember& member = members.emplace_back();
      member.entry.path = path;
      member.entry.layer = root.layer;
      member.change().contents = std::move(script.contents);
      rewrite(member, std::make_shared<const MemoryFile>(path, member.special().contents), {.bundle_path = path});
      settle(member);
    }
  }

  // The relocator, for a tree that plain tar unpacks.
  void add_launcher(RelocatableInputs& inputs) const {
    static constexpr const char *kLauncher = "bin/holdall", *kUnpack = "bin/conda-unpack";
    if (options_.launcher.empty() || has_linked("bin", inputs, kUnpack)) return;
    std::vector<PlannedMember>& members = inputs.members;
    std::erase_if(members, [](const PlannedMember& member) {
      return member.entry.path == kLauncher || member.entry.path == kUnpack;
    });
    PlannedMember& launcher = members.emplace_back();
    launcher.entry.path = kLauncher;
    launcher.entry.executable = true;
    launcher.source = options_.launcher;
    launcher.entry.size = InputFile(options_.launcher).size();
    PlannedMember& unpack = members.emplace_back();
    unpack.entry.path = kUnpack;
    unpack.entry.type = EntryType::kSymlink;
    unpack.entry.executable = true;
    unpack.entry.link_target = "holdall";
    for (std::size_t i = members.size() - 2; i < members.size(); ++i) members[i].entry.layer = "runtime";
  }

  void compiled(const Member& member, Outcome& result) const {
    const FilePointer file = open(member, result.member);
    const std::string contents = file->size() <= kLargestPyc ? read_whole(*file, kLargestPyc) : "";
    result.left_out = is_stale(contents, result.member.entry.path);
    if (result.left_out) return;
    auto pyc = relocatable_pyc(contents, {prefixes_, options_.mtime});
    if (!pyc) {
      result.left_out = true;
      result.warning = "'" + file->path() + "' is no compiled Python of a known version: left out";
      return;
    }
    result.member.source = {};
    result.member.mtime_ns = kNoTime;
    result.member.change().contents = std::move(*pyc);
    result.member.entry.size = result.member.special().contents.size();
  }

  // Python would not take it where it is now; with the archive's time, it would.
  bool is_stale(std::string_view pyc, const std::string& path) const {
    const auto compiled_from = source_in_header(pyc);
    const auto found = find_place(source_of_pyc(path));
    if (!compiled_from || !found) return false;
    const Member& source = collection_.members[*found];
    const PycSource present{.mtime = static_cast<std::uint32_t>(source.mtime_ns / 1'000'000'000),
                            .size = static_cast<std::uint32_t>(source.size)};
    return source.type != EntryType::kRegular || *compiled_from != present;
  }

  // Compiled from a source that is another one at each place: Python would not take it.
  void leave_out_changing() {
    std::set<std::string> changing;
    for (const PlannedMember& member : members_)
      if (!member.special().splices.empty()) changing.insert(member.entry.path);
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (!changing.contains(source_of_pyc(members_[i].entry.path))) continue;
      members_[i] = {};
      left_out_[i] = 1;
      warnings_.erase(i);
    }
  }

  // pip checks an installation against its RECORDs.
  void update_wheel_records() {
    for (const std::size_t index : by_place_) {
      if (!collection_.members[index].path.ends_with(".dist-info/RECORD") || left_out_[index] != 0) continue;
      const std::string path = place_of(index);
      const fs::path site = fs::path(path).parent_path().parent_path();
      const auto change = [&](const std::string& name) -> std::optional<RecordChange> {
        const auto found = find_place((site / name).lexically_normal().string());
        return found ? change_of(*found) : std::nullopt;
      };
      PlannedMember& member = members_[index];
      const std::string record = read_whole(*open(collection_.members[index], member), kLargestCondaRecord);
      std::string updated = updated_record(record, change);
      if (updated == record) continue;
      member.change().splices.clear();
      member.source = {};
      member.mtime_ns = kNoTime;
      member.brought.reset();
      member.change().contents = std::move(updated);
      const auto file = std::make_shared<const MemoryFile>(path, member.special().contents);
      rewrite(member, file, {.bundle_path = path});
      settle(member);
    }
  }

  std::optional<RecordChange> change_of(std::size_t index) const {
    const PlannedMember& member = members_[index];
    const bool slimmed = options_.slimming == Slimming::kDrop && member.entry.type == EntryType::kRegular &&
                         slim_rule_for(member.entry.path) != nullptr;
    if (left_out_[index] != 0 || slimmed) return RecordChange{.gone = true, .digest = {}, .size = 0};
    if (!member.entry.relocations.empty()) return RecordChange{};
    if (member.entry.type != EntryType::kRegular || (member.special().splices.empty() && !member.source.empty()))
      return std::nullopt;
    return RecordChange{
        .gone = false, .digest = digest_of(*packed_file(member).bytes, options_.check), .size = member.entry.size};
  }

  const Collection& collection_;
  const RelocationOptions& options_;
  std::vector<PrefixSpelling> prefixes_;
  std::unique_ptr<PrefixRewriter> rewriter_;
  const Remembered* remembered_ = nullptr;       // if it can serve
  std::vector<std::size_t> by_place_;            // indices of the collection's members, by their place in the bundle
  std::vector<Text> packages_;                   // "torch-2.13.0", of the collection's
  std::vector<PlannedMember> members_;           // what becomes of each
  std::vector<std::uint8_t> left_out_;           // if it does not go into the archive
  std::map<std::size_t, std::string> warnings_;  // and why, where that is worth one
  std::mutex mutex_;                             // of warnings_ while there are threads
};

}  // namespace

void put_rewrite(PlannedMember& member, const FilePointer& file, PrefixRewrite rewrite,
                 const std::function<void()>& check) {
  member.entry.size = spliced_size(file->size(), rewrite.splices);
  member.entry.relocations = std::move(rewrite.relocations);
  if (!rewrite.splices.empty() || !member.special().splices.empty())
    member.change().splices = std::move(rewrite.splices);
  try {
    bundle::check_relocations(member.entry.relocations, member.entry.size);
  } catch (const Error& error) {
    throw Error(ErrorKind::kInternal, "cannot relocate '" + file->path() + "': " + error.what());
  }
  if (!member.entry.relocations.empty())
    member.expected = digest_of(SplicedFile(file, member.special().splices), check);
}

RelocatableInputs make_relocatable(const Collection& collection, const RelocationOptions& options) {
  return Stage(collection, options).run();
}

void add_relocation_list(std::vector<PlannedMember>& members, std::vector<bundle::HostLink> links) {
  bundle::RelocationList list{.files = {}, .links = std::move(links)};
  for (const PlannedMember& member : members) {
    const bundle::Entry& entry = member.entry;
    if (entry.relocations.empty()) continue;
    list.files.push_back({entry.path, entry.executable, entry.size, member.expected.value(), entry.relocations});
  }
  if (list.files.empty() && list.links.empty()) return;
  std::ranges::sort(list.files, {}, &bundle::RelocatedFile::path);
  std::ranges::sort(list.links, {}, &bundle::HostLink::path);
  PlannedMember& member = members.emplace_back();
  member.entry.path = bundle::kRelocationListPath;
  member.entry.layer = "app";
  member.change().contents = to_json(list);
  member.entry.size = member.special().contents.size();
}

}  // namespace holdall::packer
