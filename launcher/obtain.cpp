#include "launcher/obtain.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "launcher/control_socket.h"
#include "launcher/doctor.h"
#include "launcher/fetch_options.h"
#include "launcher/installed_content.h"
#include "launcher/interrupt.h"
#include "launcher/progress.h"
#include "launcher/service_options.h"
#include "launcher/space.h"
#include "launcher/version_floor.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

const std::string& store_name(const bundle::BundleInfo& info, const ObtainOptions& options) {
  return options.common.name.empty() ? info.name : options.common.name;
}

// Of an upgrade: what run was given.
std::string libcuda_of(const bundle::BundleInfo& info, const ObtainOptions& options) try {
  if (!options.libcuda.empty()) return options.libcuda;
  const Store store =
      Store::open(options.common.store_root(), store_name(info, options), options.common.open_options());
  return load_service_options(store).value_or(ServiceOptions{}).libcuda;
} catch (const Error&) {
  return {};
}

bundle::LibcChoice examine(const bundle::BundleInfo& info, const ObtainOptions& options) {
  DoctorOptions how;
  how.root = options.common.store_root();
  how.allow_cpu = options.allow_cpu;
  how.libc = options.libc;
  how.allow_network_filesystem = options.common.allow_network_filesystem;
  std::error_code none;
  const auto store = std::filesystem::path(how.root) / store_name(info, options);
  how.has_releases =
      std::filesystem::directory_iterator(store / "releases", none) != std::filesystem::directory_iterator();
  how.service_runs = is_supervised(store);
  how.libcuda = libcuda_of(info, options);
  const Diagnosis diagnosis = diagnose(&info, how);
  if (options.common.verbosity == Verbosity::kVerbose) std::cerr << to_text(diagnosis, false);
  require_compatible(diagnosis, info.name,
                     options.common.verbosity == Verbosity::kQuiet ? Warnings::kHide : Warnings::kShow);
  return diagnosis.libc;
}

}  // namespace

void add_obtain_options(CLI::App& command, ObtainOptions& options) {
  options.command = &command;
  command
      .add_option(
          "SOURCE", options.source,
          "bundle: a file (also a tar, tar.gz, zip … of another kind), an https:// address, or - for standard input")
      ->required();
  add_common_options(command, options.common);
  command
      .add_flag_callback(
          "-v,--verbose", [&options] { options.common.verbosity = Verbosity::kVerbose; },
          "also say what the doctor found")
      ->excludes(command.get_option("--quiet"));
  command.add_flag("--allow-cpu", options.allow_cpu, "a bundle that wants a GPU may run on the CPU");
  command
      .add_option("--libcuda", options.libcuda,
                  "the driver's libcuda.so.1, wherever it lies; run remembers it for its service")
      ->transform([](const std::string& path) { return std::filesystem::absolute(path).lexically_normal().string(); });
  add_libc_option(command, options.libc);
  add_trust_options(command, options.trust);
  add_fetch_options(command, options.fetch);
  command
      .add_option("--max-size", options.max_size, "largest input to accept from a pipe or a server, e.g. 20GB [any]")
      ->transform(CLI::AsSizeValue(true));
}

Obtained obtain(const ObtainOptions& options) {
  const InterruptGuard interrupt;  // between the steps, too, a signal ends it with its own exit code
  std::optional<SignedBundle> trusted = check_remote_trust(options.source, options.trust, options.fetch);
  const Source source = Source::open(options.source, options.fetch, Source::PlainHttp::kAnywhere);
  if (source.kind() != SourceKind::kRemote) trusted = check_trust(source, options.trust, options.common.verbosity);
  if (!source.warning().empty() && options.common.verbosity != Verbosity::kQuiet)
    std::cerr << "warning: " << source.warning() << '\n';
  if (options.check) options.check(source.info());
  if (bundle::is_named(*options.command, "--libc")) require_libc(source.info(), options.libc);
  const bundle::LibcChoice libc = examine(source.info(), options);
  if (options.examined) options.examined();
  interrupt.check();

  // A broken file is refused before there is a store; what comes by pipe or network needs the store's partial/.
  std::optional<bundle::Reader> reader;
  if (source.kind() == SourceKind::kFile || source.kind() == SourceKind::kFolder) reader.emplace(source.reader({}, {}));
  if (reader && trusted) require_signed(trusted->release, *reader, options.source);
  if (trusted && !source.has_digests()) require_signed_bytes(trusted->release, *source.bytes(), options.source);
  if (reader) require_installable(*reader);

  Store::OpenOptions how = options.common.open_options();
  how.create = true;
  Store store = Store::open(options.common.store_root(), store_name(source.info(), options), how);
  StoreLock lock = store.lock(options.common.lock_timeout());
  if (trusted) require_version_floor(store, lock, trusted->release);
  const auto is_there = [&](const bundle::Reader& archive) {
    return exists({open_folder({store.directory_fd(), "releases"}).get(), archive.release_id()});
  };
  // To look up what is installed means to read all tables of contents: not for a release that is there already.
  std::optional<InstalledContent> known;
  if (!reader || !is_there(*reader)) known.emplace(store, lock);
  if (!reader) {
    Progress progress(source.has_digests() ? "fetching" : "reading", options.common.verbosity);
    SpoolLimits limits{.max_bytes = options.max_size,
                       .signed_bytes = {},
                       .resumable = true,
                       .fetched = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
                       .known = &*known};
    if (trusted) limits.signed_bytes = trusted->release.archive_bytes;
    limits.accept = [&](const bundle::Reader& archive) {
      if (trusted && source.has_digests()) require_signed(trusted->release, archive, source.given());
      require_installable(archive);
      if (!is_there(archive)) require_space(store, archive.toc(), &*known);
    };
    try {
      reader.emplace(source.reader(store.path() + "/partial", limits));
      limits.accept(*reader);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kTrust) source.forget_partial(store.path() + "/partial");
      throw;
    }
  }
  if (to_json(reader->info()) != to_json(source.info()))
    throw Error(ErrorKind::kBadBundle, "'" + source.given() + "' changed while it was read");

  InstallOptions install_options;
  if (known) install_options.known = &*known;
  install_options.libc = libc;
  install_options.libc_matters = options.libc != LibcWish::kAuto;
  if (trusted) {
    install_options.release_json = trusted->json;
    install_options.min_version = trusted->release.min_version;
  }
  Progress progress("unpacking", options.common.verbosity);
  install_options.progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); };
  InstallResult result = install(store, lock, *reader, install_options);
  source.forget_partial(store.path() + "/partial");
  interrupt.check();
  return {std::move(store), std::move(lock), std::move(result), source.info()};
}

}  // namespace holdall::launcher
