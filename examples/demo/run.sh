#!/usr/bin/env bash
# The main job, end to end, on real input: pack two versions, then, on a bare Debian as a user without rights: doctor,
# unpack, warm, edit a picture over HTTP, upgrade, edit, roll back, edit, stop. Exits non-zero if any step fails.
set -euo pipefail
cd "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/../.."
bin=$PWD/build/bin
out=$PWD/build/demo
cache="${HOLDALL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/holdall}"
scene=$PWD/examples/starter-model/checkpoint/golden/recolour.png # a red circle and a yellow star on light blue
root="$cache/debian-12-root"
nobody=65534

# As root the operator's machine is a chroot of its own, mounted in a mount namespace that ends with this script.
if [ "$(id -u)" = 0 ] && [ -z "${HOLDALL_DEMO_NAMESPACE:-}" ] && unshare --mount true 2>/dev/null; then
  HOLDALL_DEMO_NAMESPACE=1 exec unshare --mount --propagation private "${BASH_SOURCE[0]}" "$@"
fi

started=$(date +%s%N)
seconds() { awk -v ns=$(($(date +%s%N) - $1)) 'BEGIN {printf "%.2f s", ns / 1e9}'; }
size() { numfmt --to=si --suffix=B "$(stat -c %s "$1")"; }
heading() { printf '\n%s\n' "$*"; }
# step "what it does" command...: shows the command's output indented, then its time.
step() {
  local what=$1 began; shift
  began=$(date +%s%N)
  printf '\n• %s\n' "$what"
  "$@" 2>&1 | sed 's/^/    /'
  printf '    (%s)\n' "$(seconds "$began")"
}

rm -rf "$out"
mkdir -p "$out"
home=$(mktemp -d "${TMPDIR:-/tmp}/holdall-demo.XXXXXX")

# The bare machine: operator COMMAND... runs there, as a user without rights, in an empty home folder.
make_root() {
  [ ! -d "$root" ] || return 0
  echo "making a minimal Debian root for the demo (once, 30 s; kept in $cache)"
  rm -rf "$root.tmp"
  debootstrap --variant=minbase bookworm "$root.tmp" >"$cache/debootstrap.log" 2>&1 &&
    mkdir -p "$root.tmp/home/operator" && mv "$root.tmp" "$root"
}
if [ -n "${HOLDALL_DEMO_NAMESPACE:-}" ] && make_root && mkdir -p "$root/home/operator" &&
  mount -t proc proc "$root/proc" && mount --bind "$home" "$root/home/operator"; then
  bare="a chroot of minimal Debian 12, as user $nobody"
  chown $nobody:$nobody "$home"
  operator() {
    chroot --userspec=$nobody:$nobody "$root" /usr/bin/env -i HOME=/home/operator PATH=/usr/bin:/bin LANG=C.UTF-8 \
      sh -c 'cd && exec "$@"' sh "$@"
  }
  ! operator sh -c 'command -v python3 || ls /usr/lib/*/libtorch*' 2>/dev/null || { echo "the root is not bare"; exit 1; }
elif [ "$(id -u)" = 0 ]; then
  bare="a bare environment on this machine, as user $nobody (no chroot may be made here)"
  chown $nobody:$nobody "$home"
  operator() {
    (cd "$home" && setpriv --reuid=$nobody --regid=$nobody --clear-groups \
      env -i HOME="$home" PATH=/usr/bin:/bin LANG=C.UTF-8 "$@")
  }
else
  bare="a bare environment on this machine, as $(id -un) (a chroot needs root)"
  operator() { (cd "$home" && env -i HOME="$home" PATH=/usr/bin:/bin LANG=C.UTF-8 "$@"); }
fi

finish() {
  local status=$?
  operator ./holdall stop --timeout 20 >/dev/null 2>&1 || true
  rm -rf "$home"
  [ $status -eq 0 ] || echo "the demo failed (exit $status)" >&2
}
trap finish EXIT

edit() { # edit NAME PROMPT: one request with curl, as any client would send it
  curl -sS --fail-with-body -o "$out/$1.json" -F image=@"$scene" -F prompt="$2" -F seed=7 -F size=auto \
    -w 'answered in %{time_total} s\n' "$url/v1/images/edits" || { cat "$out/$1.json"; return 1; }
  python3 -c 'import base64, json, sys
reply = json.load(open(sys.argv[1]))
picture = base64.b64decode(reply["data"][0]["b64_json"])
assert picture.startswith(b"\x89PNG"), "no PNG came back"
open(sys.argv[2], "wb").write(picture)
print(reply["size"], "PNG,", len(picture), "bytes:", sys.argv[2])' "$out/$1.json" "$out/$1.png"
  rm "$out/$1.json"
}
running_version() {
  local id
  id=$(operator ./holdall status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["release"])')
  [[ $id == holdall-demo-$1-* ]] || { echo "release '$id' runs, not version $1"; return 1; }
  echo "running: $id"
}

memory_taken() { # at most, by the service and its worker; the manifest must not ask for less
  python3 - "$(operator ./holdall status --json)" <<'PYTHON'
import json, pathlib, sys
status, parents = json.loads(sys.argv[1]), {}
for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
    try:
        parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended
processes = [status["pid"], *(pid for pid, parent in parents.items() if parent == status["pid"])]
assert len(processes) == 2, processes
peaks = [line for pid in processes for line in open(f"/proc/{pid}/status") if line.startswith("VmHWM")]
taken = sum(int(line.split()[1]) * 1024 for line in peaks)
asked = json.load(open("manifests/demo.json"))["memory_bytes"]
print(f"{taken / 1e6:.0f} MB; the bundle asks the host for {asked / 1e6:.0f} MB")
assert taken <= asked, "memory_bytes in manifests/demo.json is too small"
PYTHON
}

heading "In the build: pack the service, its libraries and the model, twice"
for version in 1.0.0 1.0.1; do
  step "holdall-pack -m manifests/demo.json --bundle-version $version" \
    "$bin/holdall-pack" -m manifests/demo.json --bundle-version $version -o "$out/demo-$version.tar.zst"
  echo "    archive: $(size "$out/demo-$version.tar.zst")"
done

heading "On the server: $bare"
install -m 0755 "$bin/holdall" "$home/holdall"
cp "$out"/demo-*.tar.zst "$home/"
chmod 0644 "$home"/*.tar.zst
step "holdall doctor demo-1.0.0.tar.zst" operator ./holdall doctor demo-1.0.0.tar.zst
step "holdall run demo-1.0.0.tar.zst --detach: unpack, verify, warm up, golden edit" \
  operator ./holdall run demo-1.0.0.tar.zst --detach --port 0 --health-port 0
url=$(operator ./holdall status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["url"])')
step "status" running_version 1.0.0
step "edit a picture over HTTP: 「把红色的圆变成蓝色」" edit edited-1.0.0 "把红色的圆变成蓝色"
step "holdall upgrade demo-1.0.1.tar.zst" operator ./holdall upgrade demo-1.0.1.tar.zst
step "status" running_version 1.0.1
step "edit again: \"replace the star with a red heart\"" edit edited-1.0.1 "replace the star with a red heart"
step "holdall rollback" operator ./holdall rollback
step "status" running_version 1.0.0
step "edit again" edit edited-after-rollback "把红色的圆变成蓝色"
step "the same request gives the same picture as before the upgrade" \
  cmp "$out/edited-1.0.0.png" "$out/edited-after-rollback.png"
step "memory that the service has taken at most" memory_taken
step "holdall stop" operator ./holdall stop

cp "$scene" "$out/before.png"
printf '\nThe demo is done in %s. Look at the pictures: %s\n' "$(seconds "$started")" "build/demo/*.png"
