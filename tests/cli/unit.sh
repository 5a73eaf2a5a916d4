# unit: what it prints is accepted by those who read it, and does what it says: the commands in it are run as they stand.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
export HOLDALL_ROOT="$PWD/it's 100% \$HOME"  # nothing of it may be expanded by whoever reads a unit
trap 'holdall stop --timeout 0 >/dev/null 2>&1 || true' EXIT

expect 7 holdall unit systemd
expect 2 holdall unit launchd
cat >manifest.json <<END
{ "name": "demo", "version": "1.0.0", "executables": ["$HOLDALL_TEST_SERVICE"], "device": "cpu",
  "service": { "exec": ["bin/$(basename "$HOLDALL_TEST_SERVICE")", "version=1.0.0", "ready_after_ms=300"],
               "ready_timeout_seconds": 20, "drain_timeout_seconds": 5 } }
END
holdall-pack -q -m manifest.json -o demo.tar.zst
holdall install -q demo.tar.zst >/dev/null
expect 7 holdall unit systemd
says "no release is active"
holdall run demo.tar.zst -q --port 0 --detach >/dev/null
expect 0 holdall status --ready
holdall stop -q
expect 9 holdall status --ready

# systemd reads it without a word; and one that starts nothing is refused.
export XDG_RUNTIME_DIR=$PWD/runtime  # a user's systemd has one
mkdir runtime
holdall unit systemd >demo.service
systemd-analyze verify --user --man=no ./demo.service >verify 2>&1 || { cat verify demo.service >&2; fail "systemd refuses it"; }
[ ! -s verify ] || fail "systemd says: $(cat verify)"
# The system's, which runs it as who owns the store.
holdall unit systemd --system >system.service
mkdir system && cp system.service system/demo.service
systemd-analyze verify --man=no ./system/demo.service >verify 2>&1 || { cat verify system.service >&2; fail "systemd refuses it"; }
[ ! -s verify ] || fail "systemd says: $(cat verify)"
for line in "User=$(id -u)" "Group=$(id -g)" After=network-online.target WantedBy=multi-user.target Type=notify; do
  grep -qx "$line" system.service || fail "no $line in $(cat system.service)"
done
! grep -q '^User=' demo.service || fail "a user's unit names a user"
expect 2 holdall unit slurm --system
mkdir broken
sed 's|^ExecStart=[^ ]*|ExecStart=/nonexistent/holdall|' demo.service >broken/demo.service
if systemd-analyze verify --user --man=no broken/demo.service >verify 2>&1; then fail "the check cannot fail"; fi
for line in Type=notify KillMode=mixed TimeoutStopSec=20 TimeoutStartSec=70 WantedBy=default.target; do
  grep -qx "$line" demo.service || fail "no $line in $(cat demo.service)"
done

# As systemd runs it: READY=1 when it serves, not before; SIGTERM to the main process drains.
python3 - demo.service <<'PY'
import os, re, shlex, signal, socket, subprocess, sys
line = re.search(r"^ExecStart=(.*)$", open(sys.argv[1]).read(), re.M)[1]
command = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind("\0holdall-test-%d" % os.getpid())
manager.settimeout(20)
process = subprocess.Popen(command, env={**os.environ, "NOTIFY_SOCKET": "@holdall-test-%d" % os.getpid()})
status = [command[0], "status", *command[2:], "--ready"]
words = []
def wait_for(beginning):
    while not any(word.startswith(beginning) for word in words):
        words.extend(manager.recv(4096).decode().split("\n"))
wait_for("STATUS=start: demo-1.0.0-")
assert "READY=1" not in words, words
assert subprocess.run(status, stdout=subprocess.DEVNULL).returncode == 9, "ready, but READY=1 was not said"
wait_for("READY=1")
assert subprocess.run(status, stdout=subprocess.DEVNULL).returncode == 0
process.send_signal(signal.SIGTERM)
wait_for("STOPPING=1")
assert process.wait(20) == 0, process.returncode
PY

grep -q '^ExecReload=.*/holdall restart --root ' demo.service || fail "no reload in $(cat demo.service)"

# Slurm: the script becomes holdall, so that the signal reaches it.
holdall unit slurm >demo.sbatch
bash -n demo.sbatch
grep -qx '#SBATCH --signal=B:TERM@20' demo.sbatch || fail "no signal in $(cat demo.sbatch)"
! sed '1,/^set -euo/d' demo.sbatch | grep '^#SBATCH' || fail "an option behind the first command: Slurm would pass over it"
bash demo.sbatch >out 2>err &
job=$!
for _ in $(seq 400); do holdall status --ready >/dev/null && break; sleep 0.02; done
holdall status --json | grep "\"supervisor_pid\":$job[,}]" || fail "the script's process is not holdall: $(cat err)"
kill -TERM $job
code=0
wait $job || code=$?
same $code 0

# Kubernetes: its commands and probes, run as they stand in the YAML.
holdall unit kubernetes --image registry/base:1 >demo.yaml
python3 - demo.yaml <<'PY'
import os, subprocess, sys, time, yaml
deployment, service = yaml.safe_load_all(open(sys.argv[1]))
spec = deployment["spec"]["template"]["spec"]
[container] = spec["containers"]
assert deployment["kind"] == "Deployment" and service["kind"] == "Service"
assert deployment["spec"]["replicas"] == 1 and deployment["spec"]["strategy"]["type"] == "Recreate"
labels = deployment["spec"]["template"]["metadata"]["labels"]
assert deployment["spec"]["selector"]["matchLabels"] == labels == service["spec"]["selector"]
assert spec["terminationGracePeriodSeconds"] == 20
assert spec["securityContext"]["runAsUser"] == os.getuid()
assert container["image"] == "registry/base:1"
mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
assert mounts == {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"]}
assert mounts["store"] == os.environ["HOLDALL_ROOT"] + "/demo" and os.access(mounts["holdall"], os.X_OK)
command = container["command"]
assert command[command.index("--host") + 1] == "0.0.0.0"
port = command.index("--port") + 1
assert [p["containerPort"] for p in container["ports"]] == [int(command[port])]
startup = container["startupProbe"]
assert startup["periodSeconds"] * startup["failureThreshold"] >= 70
def probe(name):
    return subprocess.run(container[name]["exec"]["command"], stdout=subprocess.DEVNULL).returncode
assert probe("readinessProbe") == 9 and probe("livenessProbe") == 0
command[port] = "0"  # any free one, in a test
process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
assert process.stdout.readline().startswith("http://0.0.0.0:")
assert probe("startupProbe") == 0 and probe("readinessProbe") == 0 and probe("livenessProbe") == 0
process.terminate()
assert process.wait(20) == 0
PY
