#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <regex>

#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "bundle/member_path.h"
#include "bundle/utc_time.h"
#include "packer/commands.h"
#include "packer/signing/password.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr int kMaxLevel = 19;  // of any format

std::int64_t source_date(const FormatTraits& format) {
  const char* const text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return 0;
  std::int64_t value = 0;
  const char* const end = text + std::string_view(text).size();
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end || value < 0 || value > format.latest_mtime) {
    throw Error(ErrorKind::kUsage, "SOURCE_DATE_EPOCH is '" + std::string(text) + "', must be seconds from 0 to " +
                                       std::to_string(format.latest_mtime) + " for " + format.name);
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
  std::string format = "infer", validated, python_prefix, expires;
  Format default_format = Format::kTarZst;
  std::optional<int> level;
  KeygenRequest keygen;
  int threads = 0;
  bool quiet = false, verbose = false, json = false, force = false, no_provide = false, slim = false;
  bool vendor_edits = false, unencrypted = false;
  bool ignore_missing = false, ignore_editable = false, allow_outside = false, with_python = false;
  bool no_zip_64 = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  PackRequest& request = arguments.request;
  auto* const name =
      app.add_option("-n,--name", request.environment, "the conda environment of that name")->type_name("NAME");
  auto* const prefix = app.add_option("-p,--prefix", request.prefix,
                                      "the conda environment, venv or any other installation in that folder")
                           ->type_name("PREFIX")
                           ->excludes(name);
  auto* const manifest =
      app.add_option("-m,--manifest", request.manifest, "a service with the libraries it needs and its model")
          ->option_text("FILE")  // not all that it excludes
          ->excludes(name)
          ->excludes(prefix);
  app.add_option("-o,--output", request.output,
                 std::string("the archive [NAME.") + traits_of(arguments.default_format).name + "]")
      ->type_name("FILE");
  app.add_option("--bundle-name", request.bundle_name, "instead of the manifest's name")->type_name("NAME");
  app.add_option("--bundle-version", request.bundle_version, "instead of the manifest's version")->type_name("VERSION");
  app.add_option(
         "--format", arguments.format,
         "tar.zst, tar.gz, tar.bz2, tar.xz (tzst, tgz, tbz2, txz), tar, zip, squashfs, no-archive (a folder) or "
         "infer (from the output's name)")
      ->capture_default_str()
      ->type_name("FORMAT");
  app.add_option("--arcroot", request.arcroot, "folder in the archive that holds everything")
      ->type_name("FOLDER")
      ->excludes(manifest);
  auto* const destination =
      app.add_option(
             "-d,--dest-prefix", request.dest_prefix,
             "write this folder in the environment's place at once: it needs no relocation there, and works nowhere "
             "else")
          ->type_name("FOLDER")
          ->excludes(manifest);
  app.add_option("--libc", request.libc,
                 "host: the target's C library must do; bundled: bring this machine's along, for targets with an older "
                 "one")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, Libc>{{"host", Libc::kHost}, {"bundled", Libc::kBundled}}))
      ->option_text("host|bundled")
      ->excludes(manifest)
      ->excludes(destination);
  app.add_option("--shebang", request.shebang,
                 "scripts find their interpreter: relative, from their own place; env, in PATH, as conda-pack has it")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, ShebangForm>{{"relative", ShebangForm::kRelative}, {"env", ShebangForm::kEnv}}))
      ->option_text("relative|env");
  app.add_option("--compress-level", arguments.level, "of the format: " + describe_levels())
      ->check(CLI::Range(0, kMaxLevel))
      ->type_name("N");
  app.add_option(
         "-j,--n-threads", arguments.threads,
         "threads; 0 or -1: one per processor. The archive does not depend on them; tar, zip and no-archive are "
         "written by one")
      ->capture_default_str()
      ->check(CLI::Range(-1, 1024))
      ->type_name("N");
  auto* const base =
      app.add_option("--base", request.base,
                     "an archive of before: what it holds already is copied from it and not compressed again")
          ->type_name("FILE");
  auto* const remember =
      app.add_option(
             "--remember", request.remember,
             "note in this file what was read; together with --base, a file whose inode, size and times are as noted "
             "is not read again. Belongs to this machine and user")
          ->type_name("FILE");
  const auto add_filter = [&](const char* option, Filter::Kind kind, const char* help) {
    app.add_option_function<std::string>(
           option,
           [&request, kind](const std::string& pattern) {
             request.input.filters.push_back({kind, pattern});
           },
           help)
        ->type_name("PATTERN")
        ->take_all()
        ->trigger_on_parse()
        ->excludes(manifest);
  };
  add_filter("--exclude", Filter::Kind::kExclude, "leave out files whose path in the environment matches (fnmatch)");
  add_filter("--include", Filter::Kind::kInclude, "take back what an --exclude before it left out");
  app.add_flag("--ignore-missing-files", arguments.ignore_missing,
               "pack although files of conda's packages are missing");
  app.add_flag("--ignore-editable-packages", arguments.ignore_editable,
               "pack although the code of packages lies outside the environment");
  app.add_flag("--allow-outside-links", arguments.allow_outside, "pack links that lead out as what they lead to");
  auto* const with_python =
      app.add_flag("--with-python", arguments.with_python, "of a venv: pack its interpreter, too (the default)")
          ->excludes(manifest);
  app.add_option("--python-prefix", arguments.python_prefix,
                 "of a venv: do not pack its interpreter but use the one in this folder of the target's")
      ->type_name("FOLDER")
      ->excludes(manifest)
      ->excludes(with_python);
  app.add_flag("--zip-symlinks", request.zip_symlinks,
               "in a zip: keep links as links, which not every unzip knows, instead of copies");
  app.add_flag("--no-zip-64", arguments.no_zip_64, "in a zip: fail where ZIP64 extensions are needed");
  app.add_flag("-f,--force", arguments.force, "replace an existing output, make its folder");
  app.add_flag("--no-provide", arguments.no_provide, "do not run the manifest's commands for missing inputs: fail")
      ->needs(manifest);
  app.add_option("--allow-leaks", request.allowed_leaks,
                 "files of the bundle that may name the build machine (fnmatch)")
      ->type_name("PATTERN");
  app.add_flag("--allow-vendor-edits", arguments.vendor_edits,
               "edit a library of NVIDIA's that would not find its neighbours; recorded in the bundle")
      ->needs(manifest);
  auto* const explain = app.add_option("--explain", request.explain,
                                       "say why a library is in or out, up to the program that needs it; pack nothing")
                            ->type_name("LIBRARY")
                            ->needs(manifest)
                            ->excludes(base)
                            ->excludes(remember);
  auto* const report =
      app.add_flag("--report", request.report, "say what makes it big and what it asks of a host; pack nothing")
          ->excludes(explain)
          ->excludes(base)
          ->excludes(remember);
  app.add_flag("--slim", arguments.slim, "leave out what nothing needs at run time (--report names the rules)");
  app.add_option("--sbom", request.beside.sbom, "also write the bill of materials (CycloneDX) beside the archive")
      ->type_name("FILE")
      ->excludes(explain)
      ->excludes(report);
  auto* const sign =
      app.add_option(
             "--sign", request.beside.key,
             "sign with this minisign secret key: writes OUTPUT.release.json and its .minisig. The password of an "
             "encrypted key comes from HOLDALL_KEY_PASSWORD or the terminal")
          ->type_name("KEY")
          ->excludes(explain)
          ->excludes(report);
  app.add_option("--expires", arguments.expires, "nobody is to trust the release from then on: 2027-06-30T00:00:00Z")
      ->type_name("TIME")
      ->needs(sign);
  app.add_option("--min-version", request.beside.terms.min_version,
                 "whoever has installed the release is not to go below that version")
      ->type_name("VERSION")
      ->needs(sign);
  app.add_flag("--json", arguments.json, "print the result as JSON");
  auto* const quiet = app.add_flag("-q,--quiet", arguments.quiet, "no progress, no warnings");
  app.add_flag("-v,--verbose", arguments.verbose, "list every library with its origin")->excludes(quiet);
  // What to pack has no variable that stands for it: one that is left over would pack something else unseen.
  bundle::add_environment_fallbacks(app, {"name", "prefix", "manifest", "exclude", "include", "with-python", "libc"});
}

// "a/b" for "/a/b/": conda-pack takes slashes at the ends for nothing.
std::string arcroot_of(std::string arcroot) {
  while (arcroot.ends_with('/')) arcroot.pop_back();
  while (arcroot.starts_with('/')) arcroot.erase(0, 1);
  if (arcroot.empty()) return arcroot;
  if (const std::string fault = bundle::path_fault(arcroot); !fault.empty()) {
    throw Error(ErrorKind::kUsage, "--arcroot '" + arcroot + "' " + fault);
  }
  return arcroot;
}

void require_absolute(const std::string& option, const std::string& path) {
  if (!path.empty() && !path.starts_with('/')) {
    throw Error(ErrorKind::kUsage, option + " is '" + path + "', must be an absolute path");
  }
}

Tolerance tolerance(bool accepts) {
  return accepts ? Tolerance::kAccept : Tolerance::kRefuse;
}

// What signing adds. Times that are over are mistakes.
void validate_terms(const std::string& expires, CompanionRequest& beside) {
  ReleaseTerms& terms = beside.terms;
  require_match(terms.min_version.empty() ? std::nullopt : std::optional(terms.min_version), "--min-version",
                "[A-Za-z0-9._+-]{1,64}");
  if (expires.empty()) return;
  terms.expires = bundle::parse_utc(expires);
  if (!terms.expires)
    throw Error(ErrorKind::kUsage, "--expires is '" + expires + "', must be a time such as 2027-06-30T00:00:00Z");
  if (*terms.expires <= std::time(nullptr)) throw Error(ErrorKind::kUsage, "--expires " + expires + " is over already");
}

// Of other formats than tar.zst, what only the environment says of its frames and its signature is passed over.
void keep_to_format(const CLI::App& app, PackRequest& request) {
  if (request.format.format == Format::kTarZst) return;
  for (const char* const option : {"--base", "--remember"}) {
    if (bundle::is_named(app, option))
      throw Error(ErrorKind::kUsage,
                  std::string(option) + " is for tar.zst: no other format has frames that could be copied");
  }
  for (const char* const option : {"--sign", "--expires", "--min-version"}) {
    if (bundle::is_named(app, option))
      throw Error(ErrorKind::kUsage,
                  std::string(option) +
                      " is for tar.zst, whose table of contents is signed: sign another format's file with minisign");
  }
  request.base.clear();
  request.remember.clear();
  request.beside.key.clear();
}

PackRequest validated(const CLI::App& app, const Arguments& arguments) {
  PackRequest request = arguments.request;
  request.format = choose_format(arguments.format, request.output, arguments.default_format);
  request.level = level_of(request.format.format, arguments.level);
  if (request.format.format == Format::kNoArchive) {
    while (request.output.size() > 1 && request.output.ends_with('/')) request.output.pop_back();
  }
  request.zip64 = arguments.no_zip_64 ? Zip64::kNever : Zip64::kWhereNeeded;
  request.arcroot = arcroot_of(request.arcroot);
  require_absolute("--dest-prefix", request.dest_prefix);
  while (request.dest_prefix.size() > 1 && request.dest_prefix.ends_with('/')) request.dest_prefix.pop_back();
  require_absolute("--python-prefix", arguments.python_prefix);
  keep_to_format(app, request);
  require_match(request.bundle_name, "--bundle-name", "(?!\\.{1,2}$)[A-Za-z0-9_.][A-Za-z0-9._+-]{0,63}");
  require_match(request.bundle_version, "--bundle-version", "[A-Za-z0-9._+-]{1,64}");
  if (!request.beside.key.empty()) validate_terms(arguments.expires, request.beside);
  request.input.missing_files = tolerance(arguments.ignore_missing);
  request.input.editable_packages = tolerance(arguments.ignore_editable);
  request.input.outside_links = tolerance(arguments.allow_outside);
  request.input.python = arguments.python_prefix.empty() ? PythonSource::kPacked : PythonSource::kHost;
  request.input.python_prefix = arguments.python_prefix;
  request.threads = static_cast<unsigned>(std::max(arguments.threads, 0));
  request.mtime = source_date(traits_of(request.format.format));
  request.overwrite = arguments.force ? Overwrite::kForce : Overwrite::kRefuse;
  request.vendor_edits = arguments.vendor_edits ? VendorEdits::kAllow : VendorEdits::kRefuse;
  request.provide = !arguments.no_provide;
  request.slimming = arguments.slim ? Slimming::kDrop : Slimming::kNone;
  request.verbosity = arguments.quiet     ? Verbosity::kQuiet
                      : arguments.verbose ? Verbosity::kVerbose
                                          : Verbosity::kNormal;
  request.result = arguments.json ? Output::kJson : Output::kText;
  return request;
}

int run(const CLI::App& app, const Arguments& arguments) {
  if (app.got_subcommand("keygen")) {
    KeygenRequest request = arguments.keygen;
    request.encryption = arguments.unencrypted ? KeyEncryption::kNone : KeyEncryption::kPassword;
    request.result = arguments.json ? Output::kJson : Output::kText;
    run_keygen(request);
    return 0;
  }
  if (app.got_subcommand("validate")) {
    const bool valid = run_validate(arguments.validated, arguments.json ? Output::kJson : Output::kText);
    return valid ? 0 : bundle::exit_code(ErrorKind::kCannotPack);
  }
  const PackRequest request = validated(app, arguments);
  Companions companions(request.beside);  // a password's prompt wants the signals
  forget_password();                      // a manifest's commands get the environment
  const Interrupt interrupt;              // before any thread starts
  run_pack(request, companions, interrupt);
  return 0;
}

}  // namespace

int run_pack_program(int argc, const char* const* argv) {
  CLI::App app(
      "packs an environment (-n, -p; without either the active one), or a service with the libraries it needs and its "
      "model (-m), into one relocatable archive",
      "holdall-pack");
  app.set_version_flag("--version", "holdall-pack " HOLDALL_VERSION);
  app.footer(std::string("Existing outputs are refused with exit code 2 unless --force is given.\n\nExit codes:\n") +
             bundle::exit_code_help());
  Arguments arguments;
  // By a link of conda-pack's name, it does by default what conda-pack does.
  if (argc > 0 && std::filesystem::path(argv[0]).filename() == "conda-pack") arguments.default_format = Format::kTarGz;
  declare(app, arguments);
  CLI::App* const validate =
      app.add_subcommand("validate", "check a manifest and its inputs: every fault, with its JSON pointer");
  validate->add_option("MANIFEST", arguments.validated, "the manifest")->required();
  validate->add_flag("--json", arguments.json, "print the result as JSON");
  CLI::App* const keygen = app.add_subcommand("keygen",
                                              "make a key pair in minisign's formats, NAME.key and NAME.pub; the "
                                              "password comes from HOLDALL_KEY_PASSWORD or the "
                                              "terminal");
  keygen->add_option("-o,--output", arguments.keygen.name, "the files' name")->type_name("NAME")->required();
  keygen->add_flag("--unencrypted", arguments.unencrypted, "no password: whoever has NAME.key can sign");
  keygen->add_flag("--json", arguments.json, "print the result as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);  // --help, --version
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "holdall-pack: %s\n", error.what());
    return bundle::exit_code(ErrorKind::kUsage);
  }
  try {
    const int status = run(app, arguments);
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
