#include "launcher/foreign/survey.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "bundle/error.h"
#include "bundle/limits.h"
#include "bundle/member_path.h"
#include "bundle/toc_rules.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

// What an archive may unpack to, for each of its bytes: no archive of use is that repetitive on the whole, a bomb is.
constexpr std::uint64_t kLargestRatio = 200;
constexpr std::uint64_t kRatioFloor = std::uint64_t{64} << 20;
constexpr std::uint64_t kMemberCost = 512;                      // a tar header
constexpr std::uint64_t kMostNames = std::uint64_t{256} << 20;  // bytes of all names, which are kept in memory
constexpr std::uint64_t kLargestScript = std::uint64_t{64} << 20;
constexpr std::uint64_t kLargestList = std::uint64_t{256} << 20;
constexpr std::int64_t kLatest = std::numeric_limits<std::uint32_t>::max();
constexpr std::string_view kDescription = "holdall/bundle.json", kTable = "holdall/toc.json";
constexpr std::string_view kCondaUnpack = "bin/conda-unpack";

// Whether `path` is `tail` below some folder, or none.
bool has_tail(std::string_view path, std::string_view tail) {
  return path == tail || (path.ends_with(tail) && path[path.size() - tail.size() - 1] == '/');
}

std::string root_of(std::string_view path, std::string_view tail) {
  path.remove_suffix(tail.size());
  if (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

std::string below(const std::string& root, std::string_view path) {
  return root.empty() ? std::string(path) : root + '/' + std::string(path);
}

// [A-Za-z0-9_.][A-Za-z0-9._+-]{0,63}, as bundle.json wants it.
std::string bundle_name(std::string name) {
  constexpr std::string_view kOdd = "._+-";
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  for (char& c : name)
    if (!is_plain(c) && kOdd.find(c) == std::string_view::npos) c = '-';
  name.erase(0, std::min(name.find_first_not_of(kOdd), name.size()));
  name.resize(std::min<std::size_t>(name.size(), 64));
  return name.empty() ? "archive" : name;
}

class Survey {
 public:
  Survey(MemberStream& stream, std::uint64_t archive_bytes)
      : stream_(stream), room_(kRatioFloor + kLargestRatio * archive_bytes) {}

  ForeignContents run(const std::string& name) {
    for (bool first = true; const auto member = stream_.next();) {
      if (member->path.empty() && member->type == MemberType::kFolder) continue;  // "./"
      if (first && member->type == MemberType::kFile && has_tail(member->path, kDescription)) take_description(*member);
      first = false;
      take(*member);
    }
    if (folders_and_files_ == 0) throw Error(ErrorKind::kBadBundle, "bad archive: it is empty");
    result_.attributes = stream_.has_attributes();
    if (stream_.format_name() == std::string_view("zip")) result_.time_step = 2;  // MS-DOS' times
    if (result_.described)
      settle_relocations();
    else
      describe(name);
    check_tree();
    return std::move(result_);
  }

 private:
  void take(const Member& member) {
    if (std::string fault = bundle::path_fault(member.path); !fault.empty()) bad_member(member.path, fault);
    // What Windows takes for a folder's border.
    if (stream_.format_name() == std::string_view("zip") && member.path.find('\\') != std::string::npos)
      bad_member(member.path, "has a backslash in its name");
    count_name(member.path.size() + member.target.size());
    if (++folders_and_files_ > bundle::kMaxEntries) throw Error(ErrorKind::kBadBundle, "bad archive: too many files");
    result_.mtime = std::max(result_.mtime, std::clamp<std::int64_t>(member.mtime, 0, kLatest));
    for (std::string_view folder = bundle::parent_of(member.path); !folder.empty(); folder = bundle::parent_of(folder))
      if (!add_folder(folder)) break;
    switch (member.type) {
      case MemberType::kFolder:
        add_folder(member.path);
        break;
      case MemberType::kFile:
        take_file(member);
        break;
      case MemberType::kHardLink:
        take_hard_link(member);
        break;
      case MemberType::kSymlink:
        break;
    }
    result_.members.push_back(member);
  }

  void take_file(const Member& member) {
    count(member.size);
    sizes_.emplace(member.path, member.size);
    if (member.path.ends_with(".py")) result_.source_times.emplace(member.path, member.mtime);
    if (result_.described && member.path == below(result_.root, bundle::kRelocationListPath)) {
      list_ = contents_of(stream_, member, kLargestList);
    } else if (!result_.described && has_tail(member.path, kCondaUnpack) &&
               (conda_unpack_.empty() || member.path.size() < conda_unpack_.size())) {
      take_conda_unpack(member);
    } else if (!result_.described && has_tail(member.path, kDescription)) {
      bad_member(member.path, "does not come first");
    }
  }

  // A name for what came before it: a second copy, in a bundle.
  void take_hard_link(const Member& member) {
    const auto known = first_names_.find(member.target);
    const std::string& first = known == first_names_.end() ? member.target : known->second;
    const auto target = sizes_.find(first);
    if (target == sizes_.end())
      bad_member(member.path, "is a hard link to '" + member.target + "', which is no file before it");
    count(target->second);
    result_.names[first].push_back(member.path);
    first_names_.emplace(member.path, first);
  }

  void take_description(const Member& member) {
    result_.root = root_of(member.path, kDescription);
    result_.info = bundle::parse_bundle_info(contents_of(stream_, member, bundle::kMaxInfoBytes));
    result_.described = true;
  }

  // The one nearest to the top.
  void take_conda_unpack(const Member& member) {
    const auto records = parse_conda_unpack(contents_of(stream_, member, kLargestScript));
    if (records.empty()) return;
    conda_unpack_ = member.path;
    result_.root = root_of(member.path, kCondaUnpack);
    result_.prefixes.clear();
    for (const PrefixRecord& record : records)
      if (!result_.prefixes.emplace(below(result_.root, record.path), record).second)
        bad_member(member.path, "names '" + record.path + "' twice");
  }

  // False: it was there.
  bool add_folder(std::string_view path) {
    if (!result_.folders.emplace(path).second) return false;
    count_name(path.size());
    return true;
  }

  void count_name(std::uint64_t bytes) {
    count(kMemberCost);
    if (bytes > names_left_) throw Error(ErrorKind::kBadBundle, "bad archive: its names are too long together");
    names_left_ -= bytes;
  }

  void count(std::uint64_t bytes) {
    if (bytes > room_)
      throw Error(ErrorKind::kBadBundle,
                  "bad archive: it would unpack to more than " + std::to_string(kLargestRatio) + " times its size");
    room_ -= bytes;
  }

  void settle_relocations() {
    if (list_.empty()) return;
    for (bundle::RelocatedFile& file : bundle::parse_relocation_list(list_).files) {
      std::string path = below(result_.root, file.path);
      const auto found = sizes_.find(path);
      if (found == sizes_.end() || found->second != file.size)
        bad_member(path, "is not what the relocation list says of it");
      result_.relocated.emplace(std::move(path), std::move(file));
    }
  }

  void describe(const std::string& name) {
    for (const auto& [path, record] : result_.prefixes)
      if (!sizes_.contains(path)) bad_member(path, "is no file, but conda-unpack would replace a prefix in it");
    bundle::BundleInfo& info = result_.info;
    info.tool_version = "0";
    info.name = bundle_name(name);
    info.version = "0";
    info.build["made_from"] = conda_unpack_.empty() ? stream_.format_name() : "conda-pack";
    const auto add = [&](std::uint64_t size) {
      ++info.files;
      info.bytes += size;
      info.largest_file = std::max(info.largest_file, size);
    };
    for (const auto& [path, size] : sizes_) {
      add(size);
      const auto more = result_.names.find(path);
      for (std::size_t i = 0; more != result_.names.end() && i < more->second.size(); ++i) add(size);
    }
    info.requires_host.disk_bytes = info.bytes;
  }

  // By the rules of bundles, in the order that the bundle will have.
  void check_tree() const {
    bundle::TreeRules rules;
    const auto add = [&](const std::string& path, bundle::EntryType type, const std::string& target = "") {
      bundle::Entry entry;
      entry.path = path;
      entry.type = type;
      entry.link_target = target;
      if (std::string fault = rules.add(entry); !fault.empty()) bad_member(path, fault);
    };
    add(below(result_.root, kDescription), bundle::EntryType::kRegular);
    for (const std::string& folder : result_.folders) add(folder, bundle::EntryType::kDirectory);
    for (const Member& member : result_.members) {
      if (is_replaced(result_, member.path)) continue;
      if (member.type == MemberType::kFile || member.type == MemberType::kHardLink)
        add(member.path, bundle::EntryType::kRegular);
      if (member.type == MemberType::kSymlink) add(member.path, bundle::EntryType::kSymlink, member.target);
    }
    if (!result_.described) add(below(result_.root, bundle::kRelocationListPath), bundle::EntryType::kRegular);
    if (const std::string fault = rules.link_fault(); !fault.empty())
      throw Error(ErrorKind::kBadBundle, "bad archive: " + fault);
  }

  MemberStream& stream_;
  ForeignContents result_;
  std::uint64_t room_, names_left_ = kMostNames;
  std::uint64_t folders_and_files_ = 0;
  std::map<std::string, std::uint64_t> sizes_;  // of files, by their first names
  std::map<std::string, std::string> first_names_;
  std::string conda_unpack_, list_;
};

}  // namespace

[[noreturn]] void bad_member(const std::string& path, const std::string& why) {
  throw Error(ErrorKind::kBadBundle, "bad archive: '" + path + "' " + why);
}

std::string contents_of(MemberStream& stream, const Member& member, std::uint64_t limit) {
  if (member.size > limit) bad_member(member.path, "is larger than " + std::to_string(limit) + " bytes");
  std::string text(static_cast<std::size_t>(member.size), '\0');
  for (std::size_t done = 0; done < text.size();) {
    const std::size_t got = stream.read(std::as_writable_bytes(std::span(text).subspan(done)));
    if (got == 0) bad_member(member.path, "has fewer bytes than it says");
    done += got;
  }
  return text;
}

bool is_replaced(const ForeignContents& contents, const std::string& path) {
  return contents.described && (path == below(contents.root, kDescription) || path == below(contents.root, kTable));
}

ForeignContents survey(MemberStream& stream, std::uint64_t archive_bytes, const std::string& name) {
  return Survey(stream, archive_bytes).run(name);
}

}  // namespace holdall::launcher
