// holdall verify SOURCE|ID
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/fetch/url.h"
#include "launcher/fetch_options.h"
#include "launcher/options.h"
#include "launcher/progress.h"
#include "launcher/repair.h"
#include "launcher/source.h"
#include "launcher/trust.h"

namespace holdall::launcher {
namespace {

struct VerifyOptions {
  CommonOptions common;
  std::string subject;
  std::string repair;  // the archive to do it from
  TrustOptions trust;
  FetchOptions fetch;
};

// What is put right is named on stderr: stdout says how the release is now.
void repair_release(Store& store, const VerifyOptions& options) {
  // Whoever gives the archive: it must have the table of contents of the one that was installed.
  const Source source = Source::open(options.repair, options.fetch, Source::PlainHttp::kAnywhere);
  const StoreLock lock = store.lock(options.common.lock_timeout());
  Progress fetching("fetching", options.common.verbosity), unpacking("unpacking", options.common.verbosity);
  const auto paths =
      repair(store, lock, options.subject, source,
             {.fetched = [&](std::uint64_t done, std::uint64_t total) { fetching.update(done, total); },
              .unpacked = [&](std::uint64_t done, std::uint64_t total) { unpacking.update(done, total); }});
  if (options.common.verbosity == Verbosity::kQuiet) return;
  for (const std::string& path : paths) std::cerr << "repaired: '" << path << "'\n";
}

bundle::VerifyReport verify_release(const VerifyOptions& options) {
  Store store = open_installed(options.common, options.subject);
  if (!options.repair.empty()) repair_release(store, options);
  bundle::VerifyReport report;
  report.faults = store.check_release(options.subject, true);
  for (const auto& release : store.releases())
    if (release.id == options.subject) report.files = release.files, report.bytes = release.bytes;
  return report;
}

bundle::VerifyReport verify_source(const VerifyOptions& options) {
  const Source source = Source::open(options.subject, options.fetch);
  if (!source.has_digests())
    throw bundle::Error(bundle::ErrorKind::kUsage, "cannot verify '" + options.subject +
                                                       "': it has no digests to compare, as an archive of another "
                                                       "format: install it, then verify the release");
  return bundle::verify(source.reader(std::filesystem::temp_directory_path().string(), {}), 0);
}

// Who has signed it is settled before anything of it is parsed.
bundle::VerifyReport verify_signed(const VerifyOptions& options, bundle::Release& release) {
  release = load_signed(options.subject, options.trust, options.fetch).release;
  if (is_remote(options.subject)) {
    const Source source = Source::open(options.subject, options.fetch, Source::PlainHttp::kAnywhere);
    SpoolLimits limits;
    limits.signed_bytes = release.archive_bytes;
    const bundle::Reader reader = source.reader(std::filesystem::temp_directory_path().string(), limits);
    require_signed_bytes(release, *source.bytes(), source.given());
    require_signed(release, reader, source.given());
    return bundle::verify(reader, 0);
  }
  const std::shared_ptr<const bundle::RandomAccess> archive = bundle::open_file(options.subject);
  require_signed_bytes(release, *archive, options.subject);
  const bundle::Reader reader = bundle::Reader::open(archive);
  require_signed(release, reader, options.subject);
  return bundle::verify(reader, 0);
}

int verify_subject(VerifyOptions& options, const CLI::App& command) {
  const bool is_source = options.subject == "-" || options.subject.find('/') != std::string::npos ||
                         std::filesystem::exists(options.subject);
  // A release that is installed has no archive any more, and what comes by a pipe has no name beside which its
  // signature could lie.
  if (!is_source && !bundle::is_named(command, "--key")) options.trust.key.clear();
  const bool checks_signature =
      is_source && options.subject != "-" ? has_key(options.trust) : !options.trust.key.empty();
  if (is_source && !options.repair.empty())
    throw bundle::Error(bundle::ErrorKind::kUsage,
                        "cannot repair '" + options.subject + "': --repair is for an installed release (holdall ls)");
  if (checks_signature && (!is_source || options.subject == "-"))
    throw bundle::Error(bundle::ErrorKind::kUsage,
                        "cannot check '" + options.subject + "' against a key: --key is for the file of an archive");
  bundle::Release release;
  const bundle::VerifyReport report = checks_signature ? verify_signed(options, release)
                                      : is_source      ? verify_source(options)
                                                       : verify_release(options);
  if (options.common.json) {
    nlohmann::ordered_json result{{"ok", report.ok()},
                                  {"files", report.files},
                                  {"bytes", report.bytes},
                                  {"frames", report.frames},
                                  {"faults", report.faults}};
    if (checks_signature) result["signed"] = nlohmann::ordered_json::parse(to_json(release));
    std::cout << result.dump(2) << '\n';
  } else {
    for (const std::string& fault : report.faults) std::cout << fault << '\n';
    if (report.ok()) std::cout << "ok: " << report.files << " files, " << human_bytes(report.bytes) << '\n';
    if (report.ok() && checks_signature) std::cout << "signed: " << release.name << ' ' << release.version << '\n';
  }
  return report.ok() ? 0 : exit_code(bundle::ErrorKind::kBadBundle);
}

}  // namespace

void add_verify(CLI::App& app, CommandResult& result) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand("verify", "read every byte of an archive or of an installed release");
  command
      ->add_option("SOURCE|ID", options->subject, "a file, an https:// address, - for standard input, or a release id")
      ->required();
  command->add_option("--repair", options->repair,
                      "unpack the broken files of a release anew from this archive: a file, an https:// address or -");
  add_trust_options(*command, options->trust);
  add_fetch_options(*command, options->fetch);
  add_common_options(*command, options->common);
  command->callback([options, command, &result] { result.exit_code = verify_subject(*options, *command); });
}

}  // namespace holdall::launcher
