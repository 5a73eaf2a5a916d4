// What a service is told: its command line and its environment, both pure functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "launcher/supervisor.h"

namespace holdall::launcher {

using Environment = std::map<std::string, std::string>;

struct ServicePlace {
  std::string tree;      // absolute path of the release's tree
  std::string state;     // absolute path of the folder that outlives releases
  std::string driver{};  // absolute path of the links to the driver's libraries; empty: none
};

// Whether an argument of the bundle's service has the placeholder, such as "{device}".
bool takes(const bundle::BundleInfo& info, const std::string& placeholder);

// The argv of the bundle's service: exec[0] made absolute, "{model}", "{state}" and "{device}" filled in, the user's
// arguments behind. A model that the bundle carries is used whatever `options.model` says: that may have been for an
// earlier release. Throws Error{kUsage} for an external model without --model and for a --device that nothing takes;
// Error{kBadBundle} for an exec that leaves the tree or a bundle without a service.
std::vector<std::string> service_arguments(const bundle::BundleInfo& info, const ServiceOptions& options,
                                           const ServicePlace& place);

enum class KeepEnvironment { kNo, kYes };
inline constexpr const char* kKeepEnvironmentHelp =
    "keep LD_LIBRARY_PATH, LD_PRELOAD, PYTHONPATH and PYTHONHOME, which are dropped otherwise";

// The service's environment: what is inherited without the variables that would load foreign code into it
// (LD_LIBRARY_PATH, LD_PRELOAD, PYTHONPATH, PYTHONHOME, unless kept) and without those meant for the launcher itself;
// then the bundle's own, and HOLDALL_GOLDEN with its model's golden edit; the driver's links in front of
// LD_LIBRARY_PATH; CUDA_MODULE_LOADING=LAZY and a writable CUDA_CACHE_PATH unless set. LISTEN_FDS, LISTEN_FDNAMES and
// NOTIFY_SOCKET come with the process.
Environment service_environment(Environment inherited, const bundle::BundleInfo& info, const ServicePlace& place,
                                KeepEnvironment keep);

// This process's environment.
Environment current_environment();

}  // namespace holdall::launcher
