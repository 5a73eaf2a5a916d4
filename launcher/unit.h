// What starts a service elsewhere: a systemd unit, a Slurm batch script, a Kubernetes manifest. Pure functions.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "launcher/supervisor.h"

namespace holdall::launcher {

// Whose systemd a unit is for.
enum class Manager { kUser, kSystem };

struct UnitFacts {
  std::string program;      // absolute path of holdall
  std::string root, name;   // of the store; the root absolute
  std::string node;         // the host that the store is on
  std::string image;        // Kubernetes: the container image that the bundle's programs run in
  bundle::BundleInfo info;  // of the active release; has a service
  ServiceOptions service;
  uid_t user = 0;
  gid_t group = 0;
  Manager manager = Manager::kUser;
};

// A unit of Type=notify, for the user's own systemd or for the system's, which starts it at boot as `user`: SIGTERM
// goes to holdall alone, which lets the service finish its requests; what is left after its drain timeout is killed.
std::string systemd_unit(const UnitFacts& facts);

// A batch script that becomes holdall. Slurm's signal comes as long before the time limit as a drain may take.
std::string slurm_script(const UnitFacts& facts);

// YAML: a Deployment of one pod on the store's host, and a Service. Probes ask holdall.
std::string kubernetes_manifest(const UnitFacts& facts);

}  // namespace holdall::launcher
