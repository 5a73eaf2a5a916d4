// holdall extract SOURCE -C DIR: unpack and relocate without a store.
#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>

#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "bundle/extract.h"
#include "launcher/commands.h"
#include "launcher/fetch_options.h"
#include "launcher/interrupt.h"
#include "launcher/options.h"
#include "launcher/progress.h"
#include "launcher/source.h"
#include "launcher/trust.h"

namespace holdall::launcher {
namespace {

namespace fs = std::filesystem;
using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;

struct ExtractCommandOptions {
  CommonOptions common;
  std::string source, folder;
  LibcWish libc = LibcWish::kAuto;
  bool names_libc = false;  // on the command line
  TrustOptions trust;
  FetchOptions fetch;
};

// The destination: empty or made here; emptied again unless kept.
class Destination {
 public:
  explicit Destination(const std::string& given) {
    std::error_code error;
    if (fs::exists(given, error)) {
      path_ = fs::canonical(given, error).string();
      if (!fs::is_directory(path_, error))
        throw Error(ErrorKind::kUsage, "cannot extract to '" + given + "': it is not a folder");
      if (!names_in({AT_FDCWD, path_}).empty())
        throw Error(ErrorKind::kUsage,
                    "cannot extract to '" + given + "': it is not empty: give a new or empty folder");
    } else {
      const fs::path whole = fs::absolute(given).lexically_normal();
      fs::path parent =
          fs::canonical(whole.has_filename() ? whole.parent_path() : whole.parent_path().parent_path(), error);
      if (error) throw bundle::system_error(error.value(), "open the folder of", given);
      path_ = (parent / (whole.has_filename() ? whole.filename() : whole.parent_path().filename())).string();
      disk_.make_folder({AT_FDCWD, path_}, 0755);
      made_ = true;
    }
    folder_ = open_folder({AT_FDCWD, path_});
  }
  ~Destination() {
    if (kept_) return;
    try {
      for (const std::string& name : names_in({AT_FDCWD, path_})) disk_.remove_tree({folder_.get(), name});
      if (made_) disk_.remove_tree({AT_FDCWD, path_});
    } catch (const Error& error) {
      std::cerr << "warning: left in '" << path_ << "': " << error.what() << '\n';
    }
  }
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  const std::string& path() const { return path_; }
  int fd() const { return folder_.get(); }
  void keep() { kept_ = true; }

 private:
  Disk disk_;
  std::string path_;
  FileDescriptor folder_;
  bool made_ = false, kept_ = false;
};

void extract_source(const ExtractCommandOptions& options) {
  std::optional<SignedBundle> trusted = check_remote_trust(options.source, options.trust, options.fetch);
  const Source source = Source::open(options.source, options.fetch, Source::PlainHttp::kAnywhere);
  if (source.kind() != SourceKind::kRemote) trusted = check_trust(source, options.trust, options.common.verbosity);
  if (!source.warning().empty() && options.common.verbosity != Verbosity::kQuiet)
    std::cerr << "warning: " << source.warning() << '\n';
  if (options.names_libc) require_libc(source.info(), options.libc);
  const InterruptGuard interrupt;
  Destination destination(options.folder);
  SpoolLimits limits;
  if (trusted) limits.signed_bytes = trusted->release.archive_bytes;
  const bundle::Reader reader = source.reader(destination.path(), limits);
  if (trusted && source.has_digests()) require_signed(trusted->release, reader, source.given());
  if (trusted && !source.has_digests()) require_signed_bytes(trusted->release, *source.bytes(), source.given());
  Progress progress("unpacking", options.common.verbosity);
  bundle::ExtractOptions how;
  how.purpose = bundle::ExtractPurpose::kUnpack;
  how.prefix = destination.path();
  how.libc = choose_libc(source.info(), options.libc);
  how.progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); };
  how.before_change = [&](std::string_view, std::string_view) { interrupt.check(); };
  static_cast<void>(bundle::extract(reader, destination.fd(), how));
  interrupt.check();
  destination.keep();
  std::cout << destination.path() << '\n';
}

}  // namespace

void add_extract(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<ExtractCommandOptions>();
  CLI::App* command = app.add_subcommand(
      "extract",
      "unpack, verify and relocate into a folder, without a store; print its path; as tar, do not wait for the disk");
  command
      ->add_option(
          "SOURCE", options->source,
          "bundle: a file (also a tar, tar.gz, zip … of another kind), an https:// address, or - for standard input")
      ->required();
  command->add_option("-C,--directory", options->folder, "new or empty folder")->required();
  add_libc_option(*command, options->libc);
  add_trust_options(*command, options->trust);
  add_fetch_options(*command, options->fetch);
  add_common_options(*command, options->common);
  command->callback([options, command] {
    options->names_libc = bundle::is_named(*command, "--libc");
    extract_source(*options);
  });
}

}  // namespace holdall::launcher
