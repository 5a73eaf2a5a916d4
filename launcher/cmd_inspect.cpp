// holdall inspect SOURCE|ID: what a bundle is and needs. Reads the archive's ends only, unless --files.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/fetch_options.h"
#include "launcher/options.h"
#include "launcher/progress.h"
#include "launcher/source.h"

namespace holdall::launcher {
namespace {

using nlohmann::ordered_json;

struct InspectOptions {
  CommonOptions common;
  std::string subject;
  bool files = false;
  FetchOptions fetch;
};

struct Subject {
  bundle::BundleInfo info;
  std::optional<bundle::Reader>
      archive;  // absent: a folder, an installed release, or a pipe of which only the head is read
};

Subject open_subject(const InspectOptions& options) {
  const std::string& given = options.subject;
  const bool is_source = given == "-" || given.find('/') != std::string::npos || std::filesystem::exists(given);
  if (!is_source) return {open_installed(options.common, given).info(given), std::nullopt};
  const Source source = Source::open(given, options.fetch);
  Subject subject{source.info(), std::nullopt};
  if (source.kind() == SourceKind::kRemote) subject.archive.emplace(bundle::Reader::open(source.bytes()));
  if (source.kind() == SourceKind::kFile || (source.kind() == SourceKind::kPipe && options.files))
    subject.archive.emplace(source.reader(std::filesystem::temp_directory_path().string(), {}));
  return subject;
}

const char* name_of(bundle::EntryType type) {
  switch (type) {
    case bundle::EntryType::kDirectory:
      return "directory";
    case bundle::EntryType::kRegular:
      return "file";
    case bundle::EntryType::kSymlink:
      return "symlink";
  }
  return "unknown";
}

ordered_json files_of(const bundle::Toc& toc) {
  auto list = ordered_json::array();
  for (const auto& entry : toc.entries) {
    ordered_json item{{"path", entry.path}, {"type", name_of(entry.type)}};
    if (entry.type == bundle::EntryType::kRegular) {
      item["size"] = entry.size;
      item["executable"] = entry.executable;
      item["digest"] = bundle::to_string(entry.digest);
      item["relocations"] = entry.relocations.size();
      item["vendor"] = entry.vendor;
      if (!entry.kernels.empty()) item["kernels"] = {{"cubin", entry.kernels.cubin}, {"ptx", entry.kernels.ptx}};
    }
    if (entry.type == bundle::EntryType::kSymlink) item["target"] = entry.link_target;
    if (!entry.layer.empty()) item["layer"] = entry.layer;
    list.push_back(std::move(item));
  }
  return list;
}

void print_json(const Subject& subject, const InspectOptions& options) {
  ordered_json document = ordered_json::parse(bundle::to_json(subject.info));
  if (subject.archive) {
    ordered_json archive{{"size", subject.archive->archive_bytes()}, {"frames", subject.archive->footer().frames}};
    if (options.files) archive["toc_sha256"] = bundle::to_hex(subject.archive->toc_digest());
    document["archive"] = std::move(archive);
    if (options.files) document["files_list"] = files_of(subject.archive->toc());
  }
  std::cout << document.dump(2) << '\n';
}

void print_floor(const char* what, const std::optional<bundle::Floor>& floor) {
  if (!floor) return;
  std::cout << "needs      " << what << " " << floor->version << " or newer";
  if (!floor->from.empty()) std::cout << " (" << floor->from << ")";
  std::cout << '\n';
}

void print_needs(const bundle::Requirements& needs) {
  if (needs.arch.empty()) {
    std::cout << "needs      not known: the archive does not say\n";
    return;
  }
  std::cout << "needs      " << needs.arch;
  if (needs.cpu_level > 1) std::cout << "-v" << needs.cpu_level;
  std::cout << '\n';
  print_floor("glibc", needs.glibc);
  if (needs.libc) std::cout << "brings     glibc " << needs.libc->version << '\n';
  if (needs.cuda) {
    std::cout << "needs      CUDA " << needs.cuda->major << '\n';
    print_floor("NVIDIA driver", needs.cuda->driver);
    for (const auto& [library, coverage] : needs.cuda->coverage) {
      std::cout << "needs      a GPU of";
      for (const std::string& cubin : coverage.cubin) std::cout << " sm_" << cubin;
      for (const std::string& ptx : coverage.ptx) std::cout << " compute_" << ptx;
      std::cout << " (" << library << ")\n";
    }
  }
  if (needs.memory_bytes != 0) std::cout << "needs      " << human_bytes(needs.memory_bytes) << " of memory\n";
  if (needs.gpu_memory_bytes != 0)
    std::cout << "needs      " << human_bytes(needs.gpu_memory_bytes) << " of GPU memory\n";
}

void print_text(const Subject& subject, const InspectOptions& options) {
  const bundle::BundleInfo& info = subject.info;
  std::cout << "name       " << info.name << '\n' << "version    " << info.version << '\n';
  if (subject.archive)
    std::cout << "archive    " << human_bytes(subject.archive->archive_bytes()) << " in "
              << subject.archive->footer().frames << " frames\n";
  std::cout << "contents   " << info.files << " files, " << human_bytes(info.bytes) << '\n';
  print_needs(info.requires_host);
  if (info.service) {
    std::cout << "service   ";
    for (const std::string& word : info.service->exec) std::cout << ' ' << word;
    std::cout << '\n';
  }
  if (info.model)
    std::cout << "model      " << info.model->name << (info.model->external ? " (external: give --model)" : "") << '\n';
  if (!options.files || !subject.archive) return;
  for (const auto& entry : subject.archive->toc().entries) {
    std::cout << (entry.type == bundle::EntryType::kRegular ? std::to_string(entry.size) : std::string("-")) << '\t'
              << entry.path;
    if (entry.type == bundle::EntryType::kDirectory) std::cout << '/';
    if (entry.type == bundle::EntryType::kSymlink) std::cout << " -> " << entry.link_target;
    std::cout << '\n';
  }
}

void inspect(const InspectOptions& options) {
  const Subject subject = open_subject(options);
  if (options.files && !subject.archive)
    throw bundle::Error(bundle::ErrorKind::kUsage,
                        "cannot list the files of '" + options.subject + "': --files needs an archive");
  options.common.json ? print_json(subject, options) : print_text(subject, options);
}

}  // namespace

void add_inspect(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand("inspect", "what a bundle is and needs; reads its first and last 64 KiB");
  command
      ->add_option("SOURCE|ID", options->subject, "a file, an https:// address, an unpacked folder, - or a release id")
      ->required();
  command->add_flag("--files", options->files, "also every file; reads the table of contents");
  add_fetch_options(*command, options->fetch);
  add_common_options(*command, options->common);
  command->callback([options] { inspect(*options); });
}

}  // namespace holdall::launcher
