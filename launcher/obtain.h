// What install, upgrade and run have in common: SOURCE is examined by the doctor, trusted or refused, and installed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "launcher/install.h"
#include "launcher/options.h"
#include "launcher/source.h"
#include "launcher/trust.h"

namespace holdall::launcher {

struct ObtainOptions {
  CommonOptions common;
  std::string source;
  bool allow_cpu = false;
  std::string libcuda;  // the driver's, absolute, wherever it lies; empty: what run was given, else the host's
  LibcWish libc = LibcWish::kAuto;
  const CLI::App* command = nullptr;  // that has these options
  TrustOptions trust;
  FetchOptions fetch;
  std::uint64_t max_size = 0;                            // of standard input, bytes; 0: any
  std::function<void(const bundle::BundleInfo&)> check;  // may refuse, before the doctor and anything written
  std::function<void()> examined;                        // the doctor has let it pass
};

// Declares SOURCE, the common options, --allow-cpu, --libcuda, --libc, --max-size and those of trust.
void add_obtain_options(CLI::App& command, ObtainOptions& options);

struct Obtained {
  Store store;
  StoreLock lock;  // still held, so that an upgrade is one change
  InstallResult result;
  bundle::BundleInfo info;
};

// Progress, warnings and the doctor's refusal go to stderr. Throws Error{kIncompatible} or Error{kStorage} when the
// host cannot run the bundle, what check_trust() throws, and what install() throws.
Obtained obtain(const ObtainOptions& options);

}  // namespace holdall::launcher
