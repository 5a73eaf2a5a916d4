#include "packer/closure.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <filesystem>
#include <optional>
#include <set>

#include "bundle/error.h"
#include "packer/faults.h"
#include "packer/library_kinds.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNoLoader = static_cast<std::size_t>(-1);
constexpr std::size_t kMaxObjects = 10'000;

struct Object {
  std::string path;                // as found: $ORIGIN is its folder
  std::string label;               // for messages
  std::size_t loader = kNoLoader;  // whose NEEDED or dlopen brought it in first
  ElfInfo elf;
};

enum class Reason { kNeeded, kListed, kGroup };  // by a file's NEEDED, by the manifest, by a dlopen group

struct Request {
  std::string name;
  std::size_t by = 0;
  Reason reason = Reason::kNeeded;
  std::string group = {};  // kGroup: its name
};

std::string describe_reason(const Request& request) {
  switch (request.reason) {
    case Reason::kListed:
      return "listed in dlopen for";
    case Reason::kGroup:
      return "loaded on demand (" + request.group + ") by";
    case Reason::kNeeded:
      break;
  }
  return "needed by";
}

// The entries of an R(UN)PATH with $ORIGIN replaced. An empty entry is the working directory for ld.so: never for us.
std::vector<std::string> folders_of(const std::string& path_list, const std::string& object_path) {
  std::vector<std::string> result;
  std::set<std::string> origins{fs::path(object_path).parent_path().string()};
  std::error_code ignored;
  origins.insert(fs::weakly_canonical(object_path, ignored).parent_path().string());
  for (std::size_t at = 0; at <= path_list.size();) {
    const std::size_t end = std::min(path_list.find(':', at), path_list.size());
    const std::string entry = path_list.substr(at, end - at);
    at = end + 1;
    for (const std::string& origin : origins) {
      std::string folder = entry;
      for (const std::string_view token : {std::string_view("${ORIGIN}"), std::string_view("$ORIGIN")}) {
        for (std::size_t found = folder.find(token); found != folder.npos; found = folder.find(token)) {
          folder.replace(found, token.size(), origin);
        }
      }
      if (!folder.empty() && folder.front() == '/' && std::ranges::find(result, folder) == result.end()) {
        result.push_back(folder);
      }
    }
  }
  return result;
}

class Search {
 public:
  explicit Search(const ClosureOptions& options) : options_(options) {}

  Closure run(const std::vector<std::string>& programs, const std::vector<std::string>& dlopen) {
    for (const std::string& program : programs) {
      std::optional<ElfInfo> elf = described(program);
      if (!elf) continue;
      objects_.push_back({program, "bin/" + fs::path(program).filename().string(), kNoLoader, *std::move(elf)});
      closure_.roots.push_back(objects_.back().elf);
      if (objects_.back().elf.machine != objects_.front().elf.machine)
        faults_.add("'" + program + "' is for another processor than '" + programs.front() + "'");
      request_needed(objects_.size() - 1);
    }
    if (objects_.size() != programs.size()) report_faults();
    const auto dynamic = std::ranges::find_if(objects_, [](const Object& object) { return object.elf.dynamic; });
    for (const std::string& item : dlopen) {
      if (dynamic == objects_.end()) {
        faults_.add("no program here can load '" + item + "': all are linked statically");
        continue;
      }
      requests_.push_back({item, static_cast<std::size_t>(dynamic - objects_.begin()), Reason::kListed});
    }
    while (!requests_.empty()) {
      const Request request = requests_.front();
      requests_.pop_front();
      serve(request);
    }
    report_faults();
    mark_on_demand();
    std::ranges::sort(closure_.libraries, {}, &PackedLibrary::name);
    for (PackedLibrary& library : closure_.libraries) std::ranges::sort(library.aliases);
    return std::move(closure_);
  }

 private:
  // nullopt: it is among the faults.
  std::optional<ElfInfo> described(const std::string& path) {
    try {
      return describe(ElfFile(path));
    } catch (const bundle::Error& error) {
      if (error.kind() != bundle::ErrorKind::kCannotPack && error.kind() != bundle::ErrorKind::kStorage) throw;
      (error.kind() == bundle::ErrorKind::kStorage ? unreadable_ : faults_).add(error.what());
      return std::nullopt;
    }
  }

  void report_faults() {
    if (faults_.empty()) unreadable_.report(bundle::ErrorKind::kStorage);
    if (!unreadable_.empty()) faults_.add("files may not be read, either: run as their owner");
    faults_.report();
  }

  void request_needed(std::size_t object) {
    for (const std::string& name : objects_[object].elf.needed) requests_.push_back({name, object});
  }

  void serve(const Request& request) {
    const bool is_path = request.name.find('/') != std::string::npos;
    const std::string name = is_path ? fs::path(request.name).filename().string() : request.name;
    const std::string& asker = objects_[request.by].label;
    if (is_path && request.reason != Reason::kListed) {
      faults_.add("'" + asker + "' needs '" + request.name + "' by its path: no bundle can provide that");
      return;
    }
    if (is_glibc_library(name) || (is_driver_library(name) && request.reason != Reason::kListed)) {
      closure_.on_host.emplace(name, asker);
      return;
    }
    if (is_driver_library(name)) {
      faults_.add("'" + request.name + "' belongs to the driver and must come from the host: leave it out");
      return;
    }
    if (const auto known = by_name_.find(name); known != by_name_.end()) {  // ld.so, too, keeps the first of a name
      if (known->second != kNoLoader) arrows_.push_back({request.by, known->second, request.reason});
      return;
    }
    const auto found = is_path ? std::optional(request.name) : find(name, request.by);
    if (!found) {
      report_missing(request);
      by_name_.emplace(name, kNoLoader);
      return;
    }
    add(*found, name, request);
  }

  void add(const std::string& path, const std::string& name, const Request& request) {
    std::error_code error;
    const std::string real = fs::canonical(path, error).string();
    if (error) throw bundle::system_error(error.value(), "open", path);
    if (is_stub(path) || is_stub(real)) {
      faults_.add("'" + path + "' is a stub for linking, not a library: take its folder out of library_paths");
      by_name_.emplace(name, kNoLoader);
      return;
    }
    if (const auto known = by_real_path_.find(real); known != by_real_path_.end()) {
      by_name_.emplace(name, known->second);
      closure_.libraries[known->second].aliases.push_back(name);
      arrows_.push_back({request.by, known->second, request.reason});
      return;
    }
    if (objects_.size() > kMaxObjects) throw bundle::Error(bundle::ErrorKind::kCannotPack, "more than 10000 libraries");
    std::optional<ElfInfo> elf = described(path);
    if (!elf) {
      by_name_.emplace(name, kNoLoader);
      return;
    }
    const std::string file_name = elf->soname.value_or(name);
    const std::size_t index = closure_.libraries.size();
    if (const auto known = by_name_.find(file_name); file_name != name && known != by_name_.end()) {
      faults_.add("'" + path + "' and another library are both called '" + file_name + "'");
      return;
    }
    by_name_.emplace(name, index);
    by_name_.emplace(file_name, index);
    by_real_path_.emplace(real, index);
    closure_.libraries.push_back({.name = file_name,
                                  .path = path,
                                  .real_path = real,
                                  .aliases = {},
                                  .needed_by = objects_[request.by].label,
                                  .reason = describe_reason(request),
                                  .elf = *elf});
    arrows_.push_back({request.by, index, request.reason});
    if (file_name != name) closure_.libraries.back().aliases.push_back(name);
    objects_.push_back({path, "lib/" + file_name, request.by, *std::move(elf)});
    const std::size_t object = objects_.size() - 1;
    request_needed(object);
    if (options_.groups == DlopenGroups::kCuda) request_groups(object, file_name, path);
  }

  void request_groups(std::size_t object, const std::string& name, const std::string& path) {
    for (const DlopenGroup& group : dlopen_groups(name)) {
      for (const std::string& member : group.members) requests_.push_back({member, object, Reason::kGroup, group.name});
    }
    if (name.starts_with("libnvrtc.so")) {
      const std::string builtins = nvrtc_builtins(path);
      if (builtins.empty()) {
        faults_.add("'" + path + "' does not say which libnvrtc-builtins it loads");
      } else {
        requests_.push_back({builtins, object, Reason::kGroup, "NVRTC"});
      }
    }
  }

  // Follows all but the groups from the programs; what is not met is loaded on demand.
  void mark_on_demand() {
    std::vector<bool> at_start(objects_.size());
    for (std::size_t i = 0; i < closure_.roots.size(); ++i) at_start[i] = true;
    for (bool changed = true; changed;) {
      changed = false;
      for (const Arrow& arrow : arrows_) {
        const std::size_t to = closure_.roots.size() + arrow.to;
        if (arrow.reason == Reason::kGroup || !at_start[arrow.from] || at_start[to]) continue;
        at_start[to] = changed = true;
      }
    }
    for (std::size_t i = 0; i < closure_.libraries.size(); ++i) {
      closure_.libraries[i].on_demand = !at_start[closure_.roots.size() + i];
    }
  }

  // ld.so's order: the R(UN)PATH rules of ld.so(8), LD_LIBRARY_PATH, RUNPATH, the system's folders. A dlopen'ed member
  // is also looked for beside who loads it, because some loaders pass a whole path.
  std::vector<std::string> folders_for(std::size_t asker) const {
    std::vector<std::string> result;
    const auto append = [&](const std::vector<std::string>& folders) {
      for (const std::string& folder : folders) {
        if (std::ranges::find(result, folder) == result.end()) result.push_back(folder);
      }
    };
    const Object& object = objects_[asker];
    if (!object.elf.runpath) {
      for (std::size_t at = asker; at != kNoLoader; at = objects_[at].loader) {
        const Object& link = objects_[at];
        if (link.elf.rpath && !link.elf.runpath) append(folders_of(*link.elf.rpath, link.path));
      }
    }
    append(options_.library_paths);
    if (object.elf.runpath) append(folders_of(*object.elf.runpath, object.path));
    append(options_.system_folders);
    return result;
  }

  std::optional<std::string> find(const std::string& name, std::size_t asker) const {
    for (const std::string& folder : folders_for(asker)) {
      const std::string candidate = fs::path(folder) / name;
      if (fits(candidate)) return candidate;
    }
    return std::nullopt;
  }

  // ld.so passes over libraries of another class or processor; a broken one of ours is an error when it is described.
  bool fits(const std::string& candidate) const {
    std::error_code ignored;
    if (!fs::is_regular_file(candidate, ignored)) return false;
    Elf64_Ehdr header{};
    try {
      InputFile(candidate).read_some(0, std::as_writable_bytes(std::span(&header, 1)));
    } catch (const bundle::Error&) {
      return true;  // that it cannot be read is told when it is described
    }
    return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
           header.e_machine == objects_.front().elf.machine;
  }

  void report_missing(const Request& request) {
    std::string where;
    for (const std::string& folder : folders_for(request.by)) where += (where.empty() ? "" : ", ") + folder;
    const std::string& asker = objects_[request.by].label;
    faults_.add(
        (request.reason == Reason::kNeeded   ? "library '" + request.name + "', needed by '" + asker + "', is missing"
         : request.reason == Reason::kListed ? "library '" + request.name + "', listed in dlopen, is missing"
                                             : "the " + request.group + " group is incomplete: '" + request.name +
                                                   "', which '" + asker + "' loads, is missing") +
        ": searched " + where + ": add its folder to library_paths");
  }

  struct Arrow {
    std::size_t from;  // index in objects_
    std::size_t to;    // index in closure_.libraries
    Reason reason;
  };

  const ClosureOptions& options_;
  std::vector<Object> objects_;  // the programs, then closure_.libraries in their first order
  std::vector<Arrow> arrows_;
  std::deque<Request> requests_;                // breadth first, as ld.so loads
  std::map<std::string, std::size_t> by_name_;  // → index in closure_.libraries; kNoLoader: among the faults
  std::map<std::string, std::size_t> by_real_path_;
  Closure closure_;
  Faults faults_, unreadable_;
};

}  // namespace

Closure compute_closure(const std::vector<std::string>& programs, const std::vector<std::string>& dlopen,
                        const ClosureOptions& options) {
  return Search(options).run(programs, dlopen);
}

}  // namespace holdall::packer
