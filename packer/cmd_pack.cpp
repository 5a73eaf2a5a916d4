#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bundle/atomic_file.h"
#include "bundle/error.h"
#include "bundle/frame.h"
#include "packer/base_option.h"
#include "packer/commands.h"
#include "packer/faults.h"
#include "packer/inputs/environment_name.h"
#include "packer/output/folder_output.h"
#include "packer/pack.h"
#include "packer/plan.h"
#include "packer/plan_environment.h"
#include "packer/plan_layout.h"
#include "packer/provide.h"
#include "packer/remembered.h"
#include "packer/report.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::Error;
using bundle::ErrorKind;

void say(Verbosity verbosity, const std::string& line) {
  if (verbosity != Verbosity::kQuiet) std::fprintf(stderr, "holdall-pack: %s\n", line.c_str());
}

// One line for the library, then one for each that leads to it, up to a program.
void explain(const PackPlan& plan, const std::string& library) {
  const auto find = [&](const std::string& name) {
    return std::ranges::find_if(plan.explanations, [&](const Explanation& explanation) {
      return explanation.name == name || std::ranges::find(explanation.aliases, name) != explanation.aliases.end();
    });
  };
  auto at = find(library);
  if (at == plan.explanations.end()) {
    throw Error(ErrorKind::kNotFound, "library '" + library + "' is neither in the bundle nor needed from the host");
  }
  for (std::size_t i = 0; i <= plan.explanations.size() && at != plan.explanations.end(); ++i) {
    std::cout << at->line() << "\n";
    at = find(fs::path(at->by).filename().string());
  }
}

std::string json_report(const PackRequest& request, const Companions& companions, const PackPlan& plan,
                        const PackResult& result, double seconds) {
  const auto info = nlohmann::ordered_json::parse(bundle::to_json(plan.info));
  const bundle::WriteSummary& summary = result.summary;
  nlohmann::ordered_json digest;  // a folder has none
  if (summary.archive_digest) digest = bundle::to_hex(*summary.archive_digest);
  nlohmann::ordered_json report{
      {"path", request.output},
      {"format", traits_of(request.format.format).name},
      {"size", summary.archive_bytes},
      {"sha256", digest},
      {"files", summary.files},
      {"bytes", summary.bytes},
      {"release_id", plan.info.name + "-" + plan.info.version + "-" + bundle::to_hex(summary.toc_digest).substr(0, 12)},
      {"seconds", seconds},
      {"requires", info.at("requires")},
      {"leaks", result.leaks},
      {"copied",
       {{"frames", summary.copied.frames}, {"bytes", summary.copied.bytes}, {"broken", summary.copied.broken}}}};
  for (const auto& [key, value] : companions.describe(request.output)) report[key] = value;
  return report.dump(2);
}

bool packs(const PackRequest& request) {
  return request.explain.empty() && !request.report;
}

// The archive first.
std::vector<std::string> outputs_of(const PackRequest& request, const Companions& companions) {
  std::vector<std::string> paths = companions.paths(request.output);
  paths.insert(paths.begin(), request.output);
  return paths;
}

// Where a rename to `path` takes place: in the folder that a link to it leads to.
fs::path place_of(const std::string& path) {
  const fs::path given = fs::absolute(path);
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(given.parent_path(), error);
  return (error ? given.parent_path().lexically_normal() : folder) / given.filename();
}

bool lies_in(const fs::path& folder, const fs::path& path) {
  return std::ranges::mismatch(folder, path).in1 == folder.end();
}

// Nothing is lost: neither what --force has not said to replace, nor one output by another.
void check_outputs(const PackRequest& request, const Companions& companions) {
  if (!packs(request)) return;
  std::vector<fs::path> places;
  if (!request.remember.empty()) places.push_back(place_of(request.remember));
  for (const std::string& path : outputs_of(request, companions)) {
    std::error_code error;
    if (request.overwrite == Overwrite::kRefuse && fs::exists(fs::symlink_status(path, error)))
      throw Error(ErrorKind::kUsage, "output '" + path + "' exists: pass --force to replace it");
    const fs::path place = place_of(path);
    if (std::ranges::any_of(places, [&](const fs::path& other) { return lies_in(other, place); }))
      throw Error(ErrorKind::kUsage, "two outputs have one name, or one lies in the other: '" + path + "'");
    places.push_back(place);
  }
  if (request.format.format == Format::kNoArchive && !may_be_replaced(request.output, request.arcroot)) {
    throw Error(
        ErrorKind::kUsage,
        "output '" + request.output + "' is a folder that holds something else than a packed tree: it is not replaced");
  }
}

// Before anything that takes long. With --force, folders of the outputs are made, as conda-pack does. What cannot be
// made is found by making it, and leaving it at that.
void try_outputs(const PackRequest& request, const Companions& companions) {
  check_outputs(request, companions);
  if (!packs(request)) return;
  for (const std::string& path : outputs_of(request, companions)) {
    const fs::path folder = fs::path(path).parent_path();
    std::error_code error;
    if (request.overwrite == Overwrite::kForce && !folder.empty()) fs::create_directories(folder, error);
    if (error) throw bundle::system_error(error.value(), "make the folder", folder.string());
    if (path == request.output && request.format.format == Format::kNoArchive)
      FolderOutput(path, 0);
    else
      bundle::AtomicFile{path};
  }
}

// An archive in what it packs would pack itself, and one in its place would remove it.
void refuse_output_inside(const PackRequest& request, const std::string& folder) {
  if (!packs(request)) return;
  std::error_code error;
  const fs::path inside = fs::canonical(folder, error);
  const fs::path output = fs::weakly_canonical(fs::absolute(request.output));
  if (!error && lies_in(output, inside)) {
    throw Error(ErrorKind::kUsage,
                "output '" + request.output + "' is or holds what is packed, '" + folder + "': name another with -o");
  }
  for (fs::path at = output.parent_path(); !error && !inside.empty(); at = at.parent_path()) {
    if (at == inside) {
      throw Error(ErrorKind::kUsage, "output '" + request.output + "' lies in what is packed, '" + folder +
                                         "': name another folder with -o");
    }
    if (!at.has_relative_path()) return;
  }
}

// A name that a bundle may have, made of a folder's.
std::string bundle_name_of(const std::string& folder) {
  std::string name = fs::path(folder).filename().string().substr(0, 64);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && std::string_view("._+-").find(c) == std::string::npos) {
      c = '-';
    }
  }
  if (name.empty() || name.front() == '-' || name.front() == '+') name.insert(0, 1, '_');
  return name.substr(0, 64);
}

// What a run has at hand.
struct Run {
  PackRequest& request;
  const Companions& companions;
  Remembered* remembered;  // or nullptr
  const Interrupt& interrupt;
};

PackPlan plan_manifest(const Run& run) {
  PackRequest& request = run.request;
  Manifest manifest = load_manifest(request.manifest);
  if (request.bundle_name) manifest.name = *request.bundle_name;
  if (request.bundle_version) manifest.version = *request.bundle_version;
  if (request.output.empty()) request.output = manifest.name + "." + request.format.suffix;
  run.companions.check_version(manifest.version);
  try_outputs(request, run.companions);
  provide_inputs(manifest, request.provide ? Providing::kRun : Providing::kRefuse, run.interrupt,
                 [&](const std::string& line) { say(request.verbosity, line); });
  if (const auto faults = check_inputs(manifest); !faults.empty()) {
    throw Error(ErrorKind::kCannotPack, describe_faults(manifest.path, faults));
  }
  for (LayerSource& layer : manifest.layers) {
    InputRequest& input = layer.input;
    if (!layer.environment.empty()) input.folder = find_environment(layer.environment, this_machines_conda());
    input.missing_files = request.input.missing_files;
    input.editable_packages = request.input.editable_packages;
    input.outside_links = request.input.outside_links;
    refuse_output_inside(request, input.folder);
  }
  return plan_service(manifest, this_machine(),
                      {.check = [&] { run.interrupt.check(); },
                       .threads = request.threads,
                       .remembered = run.remembered,
                       .slimming = request.slimming,
                       .vendor_edits = request.vendor_edits,
                       .shebang = request.shebang,
                       .mtime = request.mtime});
}

// The relocator that goes with an environment: `holdall`, which is installed beside this program. Empty: none is there.
std::string find_launcher() {
  std::error_code error;
  const fs::path launcher = fs::read_symlink("/proc/self/exe", error).parent_path() / "holdall";
  return !error && fs::is_regular_file(launcher, error) ? launcher.string() : "";
}

PackPlan plan_prefix(const Run& run) {
  PackRequest& request = run.request;
  const CondaSurroundings conda = this_machines_conda();
  const std::string given = !request.prefix.empty()        ? request.prefix
                            : !request.environment.empty() ? find_environment(request.environment, conda)
                                                           : active_environment(conda);
  std::string folder = fs::absolute(given).lexically_normal().string();
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  kind_of_input(folder);  // is it there?
  const std::string name = request.bundle_name.value_or(bundle_name_of(folder));
  if (request.output.empty()) request.output = name + "." + request.format.suffix;
  const std::string version = request.bundle_version.value_or("0");
  run.companions.check_version(version);
  refuse_output_inside(request, folder);
  try_outputs(request, run.companions);
  request.input.folder = folder;
  say(request.verbosity, "collecting '" + folder + "'");
  const auto check = [&] { run.interrupt.check(); };
  Collection collection = collect({request.input}, check);
  EnvironmentOptions options{.name = name, .version = version};
  options.dest_prefix = request.dest_prefix;
  options.shebang = request.shebang;
  options.libc = request.libc;
  options.mtime = request.mtime;
  options.threads = request.threads;
  options.remembered = run.remembered;
  options.slimming = request.slimming;
  // As conda-pack does, an environment for one place gets no conda-unpack.
  if (request.dest_prefix.empty()) options.launcher = find_launcher();
  if (request.dest_prefix.empty() && options.launcher.empty())
    say(request.verbosity, "warning: no 'holdall' beside holdall-pack: the archive gets no bin/conda-unpack");
  return plan_environment(std::move(collection), options, this_machine(), check);
}

// The archive is complete, whatever becomes of the notes.
void save(const Remembered& remembered, const Say& say) {
  try {
    remembered.save();
  } catch (const Error& error) {
    say(std::string("warning: nothing is remembered for the next time: ") + error.what());
  }
}

}  // namespace

void run_pack(const PackRequest& given, Companions& companions, const Interrupt& interrupt) {
  PackRequest request = given;
  const Format format = request.format.format;
  const auto compressor = packs(request) ? compressor_of(format, request.level) : std::pair<std::string, std::string>();
  const Say tell = [&](const std::string& line) { say(request.verbosity, line); };
  // Before anything that takes long: a base that cannot be used is the user's mistake.
  const auto remembered = request.remember.empty() ? nullptr : std::make_unique<Remembered>(request.remember);
  const bool as_written = remembered && remembered->is_as_written(request.base);
  const auto base = request.base.empty() ? nullptr : open_base(request.base, request.level, tell);
  if (remembered)
    remembered->depend_on("holdall-pack", HOLDALL_VERSION ", zstd " + bundle::frame_encoding(request.level));
  const Run run{request, companions, remembered.get(), interrupt};
  PackPlan plan = request.manifest.empty() ? plan_prefix(run) : plan_manifest(run);
  if (format == Format::kZip && !request.zip_symlinks) copy_linked_files(plan);
  put_below(plan, request.arcroot);
  if (format == Format::kZip) check_zip(plan, {request.zip64, request.level});
  if (!compressor.first.empty()) plan.info.build.insert(compressor);
  if (!request.explain.empty()) {
    explain(plan, request.explain);
    return;
  }
  for (const std::string& warning : plan.warnings) say(request.verbosity, "warning: " + warning);
  if (request.report) {
    const PackReport report = make_report(plan, request.threads, [&] { interrupt.check(); });
    std::cout << (request.result == Output::kJson ? to_json(report, plan, request.slimming) + "\n"
                                                  : to_text(report, plan, request.slimming));
    return;
  }
  if (request.verbosity == Verbosity::kVerbose) {
    for (const Explanation& item : plan.explanations) std::fprintf(stderr, "  %s\n", item.line().c_str());
  }
  say(request.verbosity, "packing " + std::to_string(plan.info.files) + " files, " + human_bytes(plan.info.bytes));

  const std::unique_ptr<PackOutput> output = open_output(
      request.output,
      {.format = format,
       .level = request.level,
       .threads = request.threads,
       .mtime = request.mtime,
       .root = request.arcroot,
       .archive_digest = request.result == Output::kJson || companions.signs() ? bundle::ArchiveDigest::kCompute
                                                                               : bundle::ArchiveDigest::kSkip,
       .zip64 = request.zip64,
       .base = base,
       .copied_base = as_written && base ? request.base : "",
       .frame_digests = remembered != nullptr,
       .check = [&] { interrupt.check(); }},
      plan.info);
  Progress progress(request.verbosity, plan.info.bytes);
  PackOptions options;
  options.base = base.get();
  options.remembered = remembered.get();
  options.allowed_leaks = request.allowed_leaks;
  options.on_read = [&](std::uint64_t bytes) {
    interrupt.check();
    progress.advance(bytes);
  };
  const PackResult result = pack(plan, options, *output);
  if (!result.edited.empty()) {
    std::string line = "warning: packed as they lie there, which is not as their packages brought them:";
    for (const std::string& path : shortened(result.edited)) line += " " + path;
    say(request.verbosity, line);
  }
  interrupt.check();
  companions.prepare(request.output, plan, result);
  if (as_written && !remembered->is_as_written(request.base)) throw changed_while_packed(request.base);
  check_outputs(request, companions);  // somebody else may have made them meanwhile
  if (const std::string left = output->commit(); !left.empty())
    say(request.verbosity, "warning: of what was there before, '" + left + "' could not be removed: remove it");
  companions.commit();
  if (remembered) {
    if (output->frames() != nullptr) remembered->note_archive(request.output);
    save(*remembered, tell);
  }
  const double seconds = progress.seconds();
  progress.finish();
  say(request.verbosity, human_bytes(result.summary.bytes) + " packed into " +
                             human_bytes(result.summary.archive_bytes) + " in " + std::to_string(seconds).substr(0, 5) +
                             " s");
  if (base) report_base(request.base, result.summary.copied, result.summary.bytes, tell);
  std::cout << (request.result == Output::kJson ? json_report(request, companions, plan, result, seconds)
                                                : request.output)
            << "\n";
}

}  // namespace holdall::packer
