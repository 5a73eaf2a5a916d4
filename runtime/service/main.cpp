// holdall-edit: `serve` is this program; `run`, `inspect` and `tokenize` are the worker's, which holds the model's
// code.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "runtime/error.h"
#include "runtime/service/access/commands.h"
#include "runtime/service/options.h"
#include "runtime/service/service.h"

namespace {

using holdall::runtime::Error;
using holdall::runtime::ErrorKind;
namespace service = holdall::runtime::service;

constexpr const char* kFooter =
    "exit codes: 0 ok (also after a drain that SIGTERM asked for); 1 internal; 2 usage; 3 bad model;\n"
    "6 cannot read, write or listen (a port in use); 7 model or worker not found;\n"
    "130 SIGINT (drained, or aborted by a second one); 143 aborted by a second SIGTERM";

std::filesystem::path sibling_worker() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) throw Error(ErrorKind::kInternal, "cannot read '/proc/self/exe': " + error.message());
  return self.parent_path() / "holdall-edit-worker";
}

// Does not return: the worker's exit code is ours.
[[noreturn]] void become_worker(char** argv) {
  const std::string worker = sibling_worker().string();
  ::execv(worker.c_str(), argv);
  const int error = errno;
  throw Error(error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kStorage,
              "cannot run '" + worker + "': " + std::strerror(error) + ": it must lie beside holdall-edit");
}

void add_serve_options(CLI::App& serve, service::Options& options) {
  serve.add_option("--model", options.model, "model folder in the diffusers layout")
      ->envname("HOLDALL_MODEL")
      ->required();
  serve.add_option("--host", options.host, "address to listen on; without --keys loopback only")
      ->envname("HOLDALL_HOST")
      ->capture_default_str();
  serve.add_option("--port", options.port, "port of the API; 0: any free one")
      ->envname("HOLDALL_PORT")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  serve.add_option("--health-port", options.health_port, "port of the probes and metrics; 0: any free one")
      ->envname("HOLDALL_HEALTH_PORT")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  serve.add_option("--state", options.state, "folder for what outlives the process, such as jobs; made if missing")
      ->envname("HOLDALL_STATE");
  serve.add_option("--keys", options.keys, "keys file (see keys --help); SIGHUP reads it again")
      ->envname("HOLDALL_KEYS");
  serve.add_option("--config", options.config, "settings, JSON (docs/service.md); SIGHUP reads them again")
      ->envname("HOLDALL_CONFIG");
  serve.add_option("--device", options.device, "auto, cpu, cuda or cuda:N")
      ->envname("HOLDALL_DEVICE")
      ->capture_default_str();
  serve.add_option("--dtype", options.dtype, "float32, bfloat16 or float16; default: the device's")
      ->envname("HOLDALL_DTYPE")
      ->check(CLI::IsMember({"float32", "bfloat16", "float16"}));
  serve
      .add_option("--queue-limit", options.queue_limit,
                  "requests that may wait; one more gets 429 (default: the config's, else 32)")
      ->envname("HOLDALL_QUEUE_LIMIT")
      ->check(CLI::Range(0, 100'000));
  serve
      .add_option(
          "--golden", options.golden,
          "the edits to prove before READY=1, as under \"golden\" in holdall.json, instead of the model's own;\n"
          "paths are below the working directory; [] proves none")
      ->type_name("JSON")
      ->envname("HOLDALL_GOLDEN");
  serve.add_option("--worker", options.worker, "worker program; default: holdall-edit-worker beside this one")
      ->envname("HOLDALL_WORKER");
}

int run(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "run" || command == "inspect" || command == "tokenize") become_worker(argv);
  CLI::App app("Edits pictures as instructed, over HTTP or once.", "holdall-edit");
  app.set_version_flag("--version", std::string("holdall-edit ") + HOLDALL_VERSION);
  app.footer(kFooter);
  app.require_subcommand(1);
  app.option_defaults()->take_last();
  service::Options options;
  CLI::App* serve = app.add_subcommand("serve", "serve edits over HTTP");
  serve->footer(
      std::string("Sockets are inherited if LISTEN_FDS says so (LISTEN_FDNAMES=http:health); READY=1 goes to\n"
                  "NOTIFY_SOCKET after load, warm-up and golden edits. SIGTERM drains.\n\n") +
      kFooter);
  add_serve_options(*serve, options);
  service::add_keys_command(app);
  service::add_audit_command(app);
  app.add_subcommand("run", "one edit, no server (see run --help)");
  app.add_subcommand("inspect", "what a model is and what it needs (see inspect --help)");
  app.add_subcommand("tokenize", "token ids of prompts (see tokenize --help)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    throw Error(ErrorKind::kBadRequest, std::string(error.what()) + ": see --help");
  }
  if (!serve->parsed()) return 0;
  if (options.worker.empty()) options.worker = sibling_worker();
  return service::serve(options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::cerr << "holdall-edit: " << error.what() << std::endl;
    return holdall::runtime::exit_code(error.kind());
  } catch (const std::exception& error) {
    std::cerr << "holdall-edit: " << error.what() << std::endl;
    return 1;
  }
}
