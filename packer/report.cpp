#include "packer/report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>
#include <utility>

#include "bundle/digest.h"
#include "packer/file_digests.h"
#include "packer/in_parallel.h"
#include "packer/input_file.h"
#include "packer/progress.h"

namespace holdall::packer {
namespace {

using bundle::EntryType;
using nlohmann::ordered_json;

constexpr std::size_t kMostFiles = 10, kMostPackages = 30, kMostFloors = 3;
constexpr std::uint64_t kSmallestDuplicate = 4096;

bundle::Digest input_digest(const PlannedMember& member, const std::function<void()>& check) {
  if (member.expected) return *member.expected;
  if (member.source.empty()) return bundle::sha256(std::as_bytes(std::span(member.special().contents)));
  return digest_of(InputFile(member.source), check);
}

void find_duplicates(const PackPlan& plan, unsigned threads, const std::function<void()>& check, PackReport& report) {
  std::map<std::uint64_t, std::vector<const PlannedMember*>> by_size;
  for (const PlannedMember& member : plan.members) {
    if (member.entry.type == EntryType::kRegular && member.entry.size >= kSmallestDuplicate) {
      by_size[member.entry.size].push_back(&member);
    }
  }
  std::vector<const PlannedMember*> alike;
  for (const auto& [size, members] : by_size) {
    if (members.size() > 1) alike.insert(alike.end(), members.begin(), members.end());
  }
  std::vector<bundle::Digest> digests(alike.size());
  in_parallel(alike.size(), threads, [&](std::size_t i) { digests[i] = input_digest(*alike[i], check); });
  std::map<std::pair<std::uint64_t, bundle::Digest>, std::vector<std::string>> by_contents;
  for (std::size_t i = 0; i < alike.size(); ++i) {
    by_contents[{alike[i]->entry.size, digests[i]}].push_back(alike[i]->entry.path);
  }
  for (auto& [contents, paths] : by_contents) {
    if (paths.size() < 2) continue;
    std::ranges::sort(paths);
    report.duplicate_bytes += contents.first * (paths.size() - 1);
    report.duplicates.push_back({contents.first, std::move(paths)});
  }
  std::ranges::sort(report.duplicates, [](const Duplicate& a, const Duplicate& b) {
    const std::uint64_t left = a.bytes * (a.paths.size() - 1), right = b.bytes * (b.paths.size() - 1);
    return std::tie(right, a.paths) < std::tie(left, b.paths);
  });
}

std::string count(std::uint64_t number, const char* noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

std::string list(const std::vector<std::string>& words, const char* prefix) {
  std::string text;
  for (const std::string& word : words) text += " " + (prefix + word);
  return text;
}

ordered_json share_json(const Share& share) {
  return {{"name", share.name}, {"files", share.files}, {"bytes", share.bytes}};
}

class ReportText {
 public:
  void heading(const std::string& line) { out_ << (out_.tellp() > 0 ? "\n" : "") << line << "\n"; }
  void size(std::uint64_t bytes, const std::string& what) {
    std::string size = human_bytes(bytes);
    size.insert(0, size.size() < 12 ? 12 - size.size() : 0, ' ');
    out_ << size << "  " << what << "\n";
  }
  void line(const std::string& text) { out_ << "  " << text << "\n"; }
  std::string str() const { return out_.str(); }

 private:
  std::ostringstream out_;
};

void add_floors(ReportText& text, const std::string& what, const std::vector<bundle::Floor>& floors) {
  for (std::size_t i = 0; i < std::min(floors.size(), kMostFloors); ++i) {
    text.line((i == 0 ? what : "then") + " " + floors[i].version + ": " + floors[i].from +
              (floors[i].why.empty() ? "" : " (" + floors[i].why + ")"));
  }
}

void add_needs(ReportText& text, const PackPlan& plan) {
  const bundle::Requirements& needs = plan.info.requires_host;
  text.heading("what the host must have");
  text.line(needs.arch);
  add_floors(text, "glibc", plan.floors.glibc);
  if (needs.libc) text.line("(in the bundle, where the host's is older) glibc " + needs.libc->version);
  add_floors(text, needs.libstdcxx ? "GLIBCXX" : "(in the bundle) GLIBCXX", plan.floors.libstdcxx);
  add_floors(text, "x86-64-v", plan.floors.cpu_level);
  if (needs.cuda) {
    const bundle::Floor& driver = needs.cuda->driver;
    text.line("NVIDIA driver " + driver.version + ": " + driver.from + " (" + driver.why + ")");
    if (needs.cuda->ptx_isa) {
      text.line("a driver that knows PTX " + needs.cuda->ptx_isa->version + ": " + needs.cuda->ptx_isa->from);
    }
    for (const auto& [library, coverage] : needs.cuda->coverage) {
      text.line("a GPU that " + library + " serves:" + list(coverage.cubin, "sm_") + list(coverage.ptx, "compute_"));
    }
  }
  text.line(human_bytes(needs.disk_bytes) + " of disk");
  if (needs.memory_bytes != 0) text.line(human_bytes(needs.memory_bytes) + " of memory");
  if (needs.gpu_memory_bytes != 0) text.line(human_bytes(needs.gpu_memory_bytes) + " of GPU memory");
}

}  // namespace

PackReport make_report(const PackPlan& plan, unsigned threads, const std::function<void()>& check) {
  PackReport report;
  std::map<std::string, Share> layers, packages;
  for (const PlannedMember& member : plan.members) {
    if (member.entry.type != EntryType::kRegular) continue;
    const auto add = [&](Share& share, const std::string& name) {
      share.name = name;
      ++share.files;
      share.bytes += member.entry.size;
    };
    add(report.total, "");
    add(layers[member.entry.layer], member.entry.layer);
    add(packages[member.package], member.package);
    report.biggest.push_back({member.entry.path, 1, member.entry.size});
  }
  const auto larger = [](const Share& a, const Share& b) {
    return std::tie(b.bytes, a.name) < std::tie(a.bytes, b.name);
  };
  for (const std::string& layer : plan.info.layers) {
    if (layers.contains(layer)) report.layers.push_back(layers[layer]);
  }
  for (auto& [name, share] : packages) report.packages.push_back(std::move(share));
  std::ranges::sort(report.packages, larger);
  std::ranges::sort(report.biggest, larger);
  report.biggest.resize(std::min(report.biggest.size(), kMostFiles));
  find_duplicates(plan, threads, check, report);
  return report;
}

std::string to_text(const PackReport& report, const PackPlan& plan, Slimming slimming) {
  ReportText text;
  text.heading(plan.info.name + " " + plan.info.version + ": " + count(report.total.files, "file") + ", " +
               human_bytes(report.total.bytes) + " unpacked");
  text.heading("by layer");
  for (const Share& share : report.layers) text.size(share.bytes, share.name + ", " + count(share.files, "file"));
  text.heading("by package");
  for (std::size_t i = 0; i < std::min(report.packages.size(), kMostPackages); ++i) {
    const Share& share = report.packages[i];
    text.size(share.bytes, (share.name.empty() ? "(no package)" : share.name) + ", " + count(share.files, "file"));
  }
  if (report.packages.size() > kMostPackages) {
    text.line("and " + count(report.packages.size() - kMostPackages, "smaller one"));
  }
  text.heading("the biggest files");
  for (const Share& file : report.biggest) text.size(file.bytes, file.name);
  add_needs(text, plan);
  text.heading("kernels, by library");
  bool any = false;
  for (const PlannedMember& member : plan.members) {
    if (member.entry.kernels.empty()) continue;
    any = true;
    text.line(member.entry.path + ":" + list(member.entry.kernels->cubin, "sm_") +
              list(member.entry.kernels->ptx, "compute_"));
  }
  if (!any) text.line("none");
  text.heading("duplicates" + (report.duplicates.empty() ? std::string() : ": " + human_bytes(report.duplicate_bytes)));
  for (std::size_t i = 0; i < std::min(report.duplicates.size(), kMostFiles); ++i) {
    const Duplicate& duplicate = report.duplicates[i];
    std::string paths = duplicate.paths[0] + " = " + duplicate.paths[1];
    if (duplicate.paths.size() > 2) paths += " and " + std::to_string(duplicate.paths.size() - 2) + " more";
    text.size(duplicate.bytes, paths);
  }
  if (report.duplicates.empty()) text.line("none");
  text.heading(slimming == Slimming::kDrop ? "dropped by --slim" : "what --slim would drop");
  for (const SlimDrop& drop : plan.slim_drops) {
    const auto rules = slim_rules();
    const auto rule = std::ranges::find(rules, drop.rule, &SlimRule::name);
    text.size(drop.bytes, drop.rule + ", " + count(drop.files, "file") + ": " + rule->what);
  }
  if (plan.slim_drops.empty()) text.line("nothing");
  return text.str();
}

std::string to_json(const PackReport& report, const PackPlan& plan, Slimming slimming) {
  ordered_json json{{"name", plan.info.name},
                    {"version", plan.info.version},
                    {"files", report.total.files},
                    {"bytes", report.total.bytes}};
  const auto shares = [](const std::vector<Share>& from) {
    ordered_json list = ordered_json::array();
    for (const Share& share : from) list.push_back(share_json(share));
    return list;
  };
  json["layers"] = shares(report.layers);
  json["packages"] = shares(report.packages);
  json["biggest"] = shares(report.biggest);
  json["requires"] = ordered_json::parse(bundle::to_json(plan.info)).at("requires");
  const auto floors = [](const std::vector<bundle::Floor>& from) {
    ordered_json list = ordered_json::array();
    for (const bundle::Floor& floor : from) {
      list.push_back({{"version", floor.version}, {"from", floor.from}, {"why", floor.why}});
    }
    return list;
  };
  json["floors"] = {{"glibc", floors(plan.floors.glibc)},
                    {"libstdcxx", floors(plan.floors.libstdcxx)},
                    {"cpu_level", floors(plan.floors.cpu_level)}};
  json["kernels"] = ordered_json::object();
  for (const PlannedMember& member : plan.members) {
    const auto& kernels = member.entry.kernels;
    if (!kernels.empty()) json["kernels"][member.entry.path] = {{"cubin", kernels->cubin}, {"ptx", kernels->ptx}};
  }
  json["duplicates"] = ordered_json::array();
  for (const Duplicate& duplicate : report.duplicates) {
    json["duplicates"].push_back({{"bytes", duplicate.bytes}, {"paths", duplicate.paths}});
  }
  json["duplicate_bytes"] = report.duplicate_bytes;
  json["slim"] = {{"dropped", slimming == Slimming::kDrop}, {"rules", ordered_json::array()}};
  for (const SlimDrop& drop : plan.slim_drops) {
    json["slim"]["rules"].push_back({{"name", drop.rule}, {"files", drop.files}, {"bytes", drop.bytes}});
  }
  return json.dump(2);
}

}  // namespace holdall::packer
