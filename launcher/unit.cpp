#include "launcher/unit.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <sstream>

namespace holdall::launcher {
namespace {

constexpr int kStartMargin = 30;       // seconds: locks, the wait for a service that lost its supervisor
constexpr int kStopMargin = 15;        // seconds: after its drain timeout a service is killed and collected
constexpr int kProbePeriod = 5;        // seconds
constexpr int kContainerPort = 8080;   // where nothing says otherwise, as for run
constexpr std::size_t kDnsLabel = 63;  // RFC 1123

// A release that fails its gate has its time, and then the last good one its own.
int start_seconds(const UnitFacts& facts) {
  return 2 * facts.info.service->ready_timeout_seconds + kStartMargin;
}
int stop_seconds(const UnitFacts& facts) {
  return facts.info.service->drain_timeout_seconds + kStopMargin;
}

std::vector<std::string> command_of(const UnitFacts& facts, const std::string& verb) {
  return {facts.program, verb, "--root", facts.root, "--name", facts.name};
}

bool is_plain(const std::string& word) {
  return !word.empty() && std::ranges::all_of(word, [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_./:@+,=-").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::string joined(const std::vector<std::string>& words, std::string (*quoted)(const std::string&)) {
  std::string result;
  for (const std::string& word : words) result += (result.empty() ? "" : " ") + quoted(word);
  return result;
}

// systemd.service(5), "Command lines", and systemd.unit(5), "Specifiers".
std::string for_systemd(const std::string& word) {
  if (is_plain(word)) return word;
  std::string result = "\"";
  for (const char c : word) {
    if (c == '\n') {
      result += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    if (c == '%' || c == '$') result += c;
    result += c;
  }
  return result + '"';
}

std::string for_shell(const std::string& word) {
  if (is_plain(word)) return word;
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

// JSON is YAML 1.2's flow style.
std::string for_yaml(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

std::string dns_label(const std::string& name) {
  std::string result;
  for (const unsigned char c : name.substr(0, kDnsLabel))
    result += std::isalnum(c) ? static_cast<char>(std::tolower(c)) : '-';
  const auto strip = [&] { return !result.empty() && result.back() == '-'; };
  while (strip()) result.pop_back();
  result.erase(0, std::min(result.find_first_not_of('-'), result.size()));
  return result.empty() ? "service" : result;
}

std::uint64_t mebibytes(std::uint64_t bytes) {
  return (bytes + (1 << 20) - 1) >> 20;
}

}  // namespace

std::string systemd_unit(const UnitFacts& facts) {
  const bool system = facts.manager == Manager::kSystem;
  std::ostringstream out;
  if (system)
    out << "# As the owner of the store, who is all that the service runs as:\n"
           "#   holdall unit systemd --system --name "
        << facts.name << " | sudo tee /etc/systemd/system/" << facts.name
        << ".service\n"
           "#   sudo systemctl daemon-reload && sudo systemctl enable --now "
        << facts.name << "\n";
  else
    out << "# Without root:\n"
           "#   holdall unit systemd --name "
        << facts.name << " >~/.config/systemd/user/" << facts.name
        << ".service\n"
           "#   systemctl --user daemon-reload && systemctl --user enable --now "
        << facts.name
        << "\n"
           "#   loginctl enable-linger    # once: it also runs while nobody is logged in\n";
  out << "# New versions come by 'holdall upgrade' and 'holdall rollback', not by a restart: the port stays open.\n"
         "[Unit]\n"
         "Description="
      << facts.name << ", kept running by holdall\n";
  if (system) out << "Wants=network-online.target\nAfter=network-online.target\n";
  out << "\n[Service]\n"
         "Type=notify\n";
  if (system) out << "User=" << facts.user << "\nGroup=" << facts.group << "\n";
  out << "NotifyAccess=main\n"
         "ExecStart="
      << joined(command_of(facts, "start"), for_systemd)
      << "\n"
         "ExecReload="
      << joined(command_of(facts, "restart"), for_systemd)
      << "\n"
         "# A stop is SIGTERM to holdall alone: the service finishes its requests. What is left after that is killed.\n"
         "KillMode=mixed\n"
      << "TimeoutStopSec=" << stop_seconds(facts) << "\n"
      << "TimeoutStartSec=" << start_seconds(facts)
      << "\n"
         "Restart=on-failure\n"
         "RestartSec=5\n"
         "# The command line, the archive, the signature, the host, a missing release: no restart mends these.\n"
         "RestartPreventExitStatus=2 3 4 5 7\n"
         "# One process out of memory does not end the rest: holdall starts the service again.\n"
         "OOMPolicy=continue\n"
         "NoNewPrivileges=yes\n\n"
         "[Install]\n"
         "WantedBy="
      << (system ? "multi-user" : "default") << ".target\n";
  return out.str();
}

std::string slurm_script(const UnitFacts& facts) {
  const bundle::Requirements& needs = facts.info.requires_host;
  std::ostringstream out;
  out << "#!/bin/bash\n"
         "#SBATCH --job-name="
      << facts.name << "\n#SBATCH --nodes=1\n#SBATCH --ntasks=1\n"
      << "#SBATCH --nodelist=" << facts.node << "\n";
  if (needs.cuda) out << "#SBATCH --gres=gpu:1\n";
  if (needs.memory_bytes > 0) out << "#SBATCH --mem=" << mebibytes(needs.memory_bytes) << "M\n";
  out << "#SBATCH --output=" << facts.name
      << "-%j.log\n"
         "#SBATCH --open-mode=append\n"
         "#SBATCH --requeue\n"
         "# So long before the time limit the service begins to finish its requests.\n"
         "#SBATCH --signal=B:TERM@"
      << stop_seconds(facts)
      << "\n"
         "# To stop it earlier in the same way: scancel --batch --signal=TERM JOBID\n"
         "# The release lies on this one node. Another needs its own: holdall run ARCHIVE --root ITS-DISK.\n"
         "set -euo pipefail\n"
         "# In the shell's place: Slurm's signals reach holdall, and its exit code is the job's.\n"
         "exec "
      << joined(command_of(facts, "start"), for_shell) << "\n";
  return out.str();
}

std::string kubernetes_manifest(const UnitFacts& facts) {
  const bundle::Requirements& needs = facts.info.requires_host;
  const std::string name = dns_label(facts.name), store = facts.root + "/" + facts.name;
  const int port = facts.service.port > 0 ? facts.service.port : kContainerPort;
  std::vector<std::string> start = command_of(facts, "start"), ready = command_of(facts, "status"),
                           alive = command_of(facts, "status"), upgrade = command_of(facts, "upgrade");
  start.insert(start.end(), {"--host", "0.0.0.0", "--port", std::to_string(port)});
  ready.push_back("--ready");
  upgrade.push_back("SOURCE");
  // Probes ask the supervisor: its sockets listen at all times, so that a connection alone says nothing.
  const auto probe = [](const std::vector<std::string>& command, int failures) {
    return for_yaml({{"exec", {{"command", command}}},
                     {"periodSeconds", kProbePeriod},
                     {"timeoutSeconds", 20},
                     {"failureThreshold", failures}});
  };
  nlohmann::ordered_json limits = nlohmann::ordered_json::object(), requests = limits;
  if (needs.cuda) limits["nvidia.com/gpu"] = 1;
  if (needs.memory_bytes > 0) requests["memory"] = std::to_string(mebibytes(needs.memory_bytes)) + "Mi";

  std::ostringstream volumes, mounts;
  const auto mount = [&](const std::string& volume, const std::string& path, const std::string& type, bool read_only) {
    mounts << "        - " << for_yaml({{"name", volume}, {"mountPath", path}, {"readOnly", read_only}}) << "\n";
    volumes << "      - " << for_yaml({{"name", volume}, {"hostPath", {{"path", path}, {"type", type}}}}) << "\n";
  };
  mount("holdall", facts.program, "File", true);
  mount("store", store, "Directory", false);  // at the same path: the releases are relocated to it
  if (!facts.service.model.empty()) mount("model", facts.service.model, "Directory", true);

  std::ostringstream out;
  out << "# " << facts.name << " as it is installed on node " << facts.node
      << ". kubectl apply -f FILE\n"
         "# New versions: run in the pod: "
      << for_yaml(upgrade)
      << ", or rollback: the port stays open.\n"
         "apiVersion: apps/v1\n"
         "kind: Deployment\n"
         "metadata: {name: "
      << for_yaml(name) << "}\nspec:\n  replicas: 1\n"
      << "  strategy: {type: Recreate}  # a store has one supervisor\n"
      << "  selector: {matchLabels: {app: " << for_yaml(name) << "}}\n"
      << "  template:\n    metadata: {labels: {app: " << for_yaml(name) << "}}\n    spec:\n"
      << "      nodeSelector: " << for_yaml({{"kubernetes.io/hostname", facts.node}}) << "\n"
      << "      terminationGracePeriodSeconds: " << stop_seconds(facts) << "  # the service's drain and a little more\n"
      << "      securityContext: "
      << for_yaml({{"runAsUser", facts.user}, {"runAsGroup", facts.group}, {"runAsNonRoot", facts.user != 0}}) << "\n"
      << "      containers:\n      - name: " << for_yaml(name) << "\n        image: " << for_yaml(facts.image) << "\n"
      << "        command: " << for_yaml(start) << "\n";
  // Without it the container toolkit leaves the driver's libcuda out of a plain image.
  if (needs.cuda) out << "        env: [{name: NVIDIA_DRIVER_CAPABILITIES, value: \"compute,utility\"}]\n";
  out << "        ports: [{name: http, containerPort: " << port << "}]\n"
      << "        startupProbe: " << probe(ready, (start_seconds(facts) + kProbePeriod - 1) / kProbePeriod) << "\n"
      << "        readinessProbe: " << probe(ready, 1) << "\n"
      << "        livenessProbe: " << probe(alive, 3) << "\n"
      << "        resources: " << for_yaml({{"limits", limits}, {"requests", requests}}) << "\n"
      << "        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}\n"
      << "        volumeMounts:\n"
      << mounts.str() << "      volumes:\n"
      << volumes.str() << "---\napiVersion: v1\nkind: Service\nmetadata: {name: " << for_yaml(name) << "}\n"
      << "spec: {selector: {app: " << for_yaml(name) << "}, ports: [{name: http, port: " << port
      << ", targetPort: http}]}\n";
  return out.str();
}

}  // namespace holdall::launcher
