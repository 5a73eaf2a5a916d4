#include <zstd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bundle/atomic_file.h"
#include "bundle/error.h"
#include "packer/commands.h"
#include "packer/pack.h"
#include "packer/plan.h"
#include "packer/provide.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::Error;
using bundle::ErrorKind;

void say(Verbosity verbosity, const std::string& line) {
  if (verbosity != Verbosity::kQuiet) std::fprintf(stderr, "holdall-pack: %s\n", line.c_str());
}

void explain(const PackPlan& plan, const std::string& library) {
  for (const std::string& line : plan.explanations) {
    if (line.substr(0, line.find('\t')) == library) {
      std::cout << line << "\n";
      return;
    }
  }
  throw Error(ErrorKind::kNotFound, "library '" + library + "' is neither in the bundle nor needed from the host");
}

std::string json_report(const PackRequest& request, const PackPlan& plan, const PackResult& result, double seconds) {
  const auto info = nlohmann::ordered_json::parse(bundle::to_json(plan.info));
  const bundle::WriteSummary& summary = result.summary;
  return nlohmann::ordered_json{
      {"path", request.output},
      {"format", "tar.zst"},
      {"size", summary.archive_bytes},
      {"sha256", bundle::to_hex(summary.archive_digest.value())},
      {"files", summary.files},
      {"bytes", summary.bytes},
      {"release_id", plan.info.name + "-" + plan.info.version + "-" + bundle::to_hex(summary.toc_digest).substr(0, 12)},
      {"seconds", seconds},
      {"requires", info.at("requires")},
      {"leaks", result.leaks}}
      .dump(2);
}

void refuse_existing(const PackRequest& request) {
  std::error_code ignored;
  if (request.overwrite == Overwrite::kRefuse && fs::exists(fs::symlink_status(request.output, ignored))) {
    throw Error(ErrorKind::kUsage, "output '" + request.output + "' exists: pass --force to replace it");
  }
}

}  // namespace

void run_pack(const PackRequest& given, const Interrupt& interrupt) {
  PackRequest request = given;
  Manifest manifest = load_manifest(request.manifest);
  if (request.bundle_name) manifest.name = *request.bundle_name;
  if (request.bundle_version) manifest.version = *request.bundle_version;
  if (request.output.empty()) request.output = manifest.name + ".tar.zst";
  if (request.explain.empty()) refuse_existing(request);
  provide_inputs(manifest, request.provide ? Providing::kRun : Providing::kRefuse, interrupt,
                 [&](const std::string& line) { say(request.verbosity, line); });
  if (const auto faults = check_inputs(manifest); !faults.empty()) {
    throw Error(ErrorKind::kCannotPack, describe_faults(manifest.path, faults));
  }
  PackPlan plan = plan_service(manifest, this_machine(), [&] { interrupt.check(); });
  plan.info.build.emplace("zstd", std::string(ZSTD_versionString()) + " level " + std::to_string(request.level));
  if (!request.explain.empty()) {
    explain(plan, request.explain);
    return;
  }
  for (const std::string& warning : plan.warnings) say(request.verbosity, "warning: " + warning);
  if (request.verbosity == Verbosity::kVerbose) {
    for (const std::string& line : plan.explanations) std::fprintf(stderr, "  %s\n", line.c_str());
  }
  say(request.verbosity, "packing " + std::to_string(plan.info.files) + " files, " + human_bytes(plan.info.bytes));

  // The descriptor stays without a name in the output's folder until the archive is complete.
  bundle::AtomicFile file(request.output);
  PackResult result;
  Progress progress(request.verbosity, plan.info.bytes);
  PackOptions options;
  options.writer = {.level = request.level,
                    .threads = request.threads,
                    .mtime = request.mtime,
                    .archive_digest = request.format == Output::kJson ? bundle::ArchiveDigest::kCompute
                                                                      : bundle::ArchiveDigest::kSkip,
                    .root = {}};
  options.allowed_leaks = request.allowed_leaks;
  options.on_read = [&](std::uint64_t bytes) {
    interrupt.check();
    progress.advance(bytes);
  };
  result = pack(plan, options, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  interrupt.check();
  refuse_existing(request);
  file.commit();
  const double seconds = progress.seconds();
  progress.finish();
  say(request.verbosity, human_bytes(result.summary.bytes) + " packed into " +
                             human_bytes(result.summary.archive_bytes) + " in " + std::to_string(seconds).substr(0, 5) +
                             " s");
  std::cout << (request.format == Output::kJson ? json_report(request, plan, result, seconds) : request.output) << "\n";
}

}  // namespace holdall::packer
