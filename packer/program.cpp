#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <regex>

#include "bundle/error.h"
#include "packer/commands.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr int kMaxLevel = 19;  // above, zstd wants windows that not every decoder accepts

std::int64_t source_date() {
  const char* const text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return 0;
  std::int64_t value = 0;
  const char* const end = text + std::string_view(text).size();
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end || value < 0 || value >= std::int64_t{1} << 33) {
    throw Error(ErrorKind::kUsage,
                "SOURCE_DATE_EPOCH is '" + std::string(text) + "', must be seconds from 0 to 2^33-1");
  }
  return value;
}

void require_match(const std::optional<std::string>& value, const char* option, const char* pattern) {
  if (value && !std::regex_match(*value, std::regex(pattern))) {
    throw Error(ErrorKind::kUsage, std::string(option) + " is '" + *value + "', must match " + pattern);
  }
}

struct Arguments {
  PackRequest request;
  std::string format = "infer", validated;
  bool quiet = false, verbose = false, json = false, force = false, no_provide = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  PackRequest& request = arguments.request;
  app.add_option("-m,--manifest", request.manifest, "what to pack: a manifest of a service bundle")
      ->type_name("FILE")
      ->envname("HOLDALL_MANIFEST");
  app.add_option("-o,--output", request.output, "the archive [NAME.tar.zst]")
      ->type_name("FILE")
      ->envname("HOLDALL_OUTPUT");
  app.add_option("--bundle-name", request.bundle_name, "instead of the manifest's name")
      ->type_name("NAME")
      ->envname("HOLDALL_BUNDLE_NAME");
  app.add_option("--bundle-version", request.bundle_version, "instead of the manifest's version")
      ->type_name("VERSION")
      ->envname("HOLDALL_BUNDLE_VERSION");
  app.add_option("--format", arguments.format, "tar.zst, tzst or infer (from the output's name)")
      ->capture_default_str()
      ->type_name("FORMAT")
      ->envname("HOLDALL_FORMAT");
  app.add_option("--compress-level", request.level, "of zstd, 1 to 19")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxLevel))
      ->type_name("N")
      ->envname("HOLDALL_COMPRESS_LEVEL");
  app.add_option("-j,--n-threads", request.threads, "compression threads; 0: one per processor")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024))
      ->type_name("N")
      ->envname("HOLDALL_N_THREADS");
  app.add_flag("-f,--force", arguments.force, "replace an existing output")->envname("HOLDALL_FORCE");
  app.add_flag("--no-provide", arguments.no_provide, "do not run the manifest's commands for missing inputs: fail")
      ->envname("HOLDALL_NO_PROVIDE");
  app.add_option("--allow-leaks", request.allowed_leaks,
                 "files of the bundle that may name the build machine (fnmatch)")
      ->type_name("PATTERN")
      ->envname("HOLDALL_ALLOW_LEAKS");
  app.add_option("--explain", request.explain, "say where a library comes from and who needs it; pack nothing")
      ->type_name("LIBRARY")
      ->envname("HOLDALL_EXPLAIN");
  app.add_flag("--json", arguments.json, "print the result as JSON")->envname("HOLDALL_JSON");
  app.add_flag("-q,--quiet", arguments.quiet, "no progress, no warnings")->envname("HOLDALL_QUIET");
  app.add_flag("-v,--verbose", arguments.verbose, "list every library with its origin")->envname("HOLDALL_VERBOSE");
}

void require_format(const Arguments& arguments) {
  std::string format = arguments.format;
  const std::string& output = arguments.request.output;
  if (format == "infer") {
    format = "tar.zst";
    for (const char* const other :
         {".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".squashfs"}) {
      if (output.ends_with(other)) format = std::string(other).substr(1);
    }
  }
  if (format != "tar.zst" && format != "tzst") {
    throw Error(ErrorKind::kUsage, "format '" + format + "' is not offered for a manifest's bundle: use tar.zst");
  }
}

int run(const Arguments& arguments, const CLI::App& app, const CLI::App& validate) {
  if (validate.parsed()) {
    const bool valid = run_validate(arguments.validated, arguments.json ? Output::kJson : Output::kText);
    return valid ? 0 : bundle::exit_code(ErrorKind::kCannotPack);
  }
  PackRequest request = arguments.request;
  if (request.manifest.empty()) {
    throw Error(ErrorKind::kUsage,
                "nothing to pack: give --manifest FILE (" + app.get_name() + " --help shows all options)");
  }
  require_format(arguments);
  require_match(request.bundle_name, "--bundle-name", "(?!\\.{1,2}$)[A-Za-z0-9_.][A-Za-z0-9._+-]{0,63}");
  require_match(request.bundle_version, "--bundle-version", "[A-Za-z0-9._+-]{1,64}");
  request.mtime = source_date();
  request.overwrite = arguments.force ? Overwrite::kForce : Overwrite::kRefuse;
  request.provide = !arguments.no_provide;
  request.verbosity = arguments.quiet     ? Verbosity::kQuiet
                      : arguments.verbose ? Verbosity::kVerbose
                                          : Verbosity::kNormal;
  request.format = arguments.json ? Output::kJson : Output::kText;
  const Interrupt interrupt;  // before any thread starts
  run_pack(request, interrupt);
  return 0;
}

}  // namespace

int run_pack_program(int argc, const char* const* argv) {
  CLI::App app("packs a service, the libraries it needs and its model into one relocatable archive", "holdall-pack");
  app.set_version_flag("--version", "holdall-pack " HOLDALL_VERSION);
  app.footer(std::string("Existing outputs are refused with exit code 2 unless --force is given.\n\nExit codes:\n") +
             bundle::exit_code_help());
  Arguments arguments;
  declare(app, arguments);
  CLI::App* const validate =
      app.add_subcommand("validate", "check a manifest and its inputs: every fault, with its JSON pointer");
  validate->add_option("MANIFEST", arguments.validated, "the manifest")->required();
  validate->add_flag("--json", arguments.json, "print the result as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);  // --help, --version
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "holdall-pack: %s\n", error.what());
    return bundle::exit_code(ErrorKind::kUsage);
  }
  try {
    const int status = run(arguments, app, *validate);
    std::cout.flush();
    if (!std::cout) throw Error(ErrorKind::kStorage, "cannot write to standard output");
    return status;
  } catch (const Error& error) {
    std::fprintf(stderr, "holdall-pack: %s\n", error.what());
    return bundle::exit_code(error.kind());
  } catch (const std::filesystem::filesystem_error& error) {
    const Error shown = bundle::system_error(error.code().value(), "examine", error.path1().string());
    std::fprintf(stderr, "holdall-pack: %s\n", shown.what());
    return bundle::exit_code(shown.kind());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "holdall-pack: internal error: %s\n", error.what());
    return bundle::exit_code(ErrorKind::kInternal);
  }
}

}  // namespace holdall::packer
