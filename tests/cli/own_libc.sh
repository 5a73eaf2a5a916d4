# Built here, run on Debian 11 by the bundle's own libc: doctor, install, exec, run, upgrade, rollback, moving and going
# back. Programs that the service starts run on it too; the host's do not.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/debian_fixture.sh"
glibc=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)

make_checkout src
cat >report.c <<'C'
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int answer(void);
int main(int argc, char** argv) {
  char self[PATH_MAX] = "";
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 1;
  printf("%s %d %s %s %g\n", gnu_get_libc_version(), answer(), argv[0], self, sqrt(argc + 2));
  fflush(stdout);
  if (argc > 1) return 0;
  if (!getpwuid(getuid()) || !dlopen("libresolv.so.2", RTLD_NOW)) return 2;  /* name services; a library of glibc's */
  if (system("ls / >/dev/null && grep -q root /etc/passwd") != 0) return 3;   /* programs of the host */
  strcpy(strrchr(self, '/'), "/report");
  if (fork() == 0) { execl(self, "the child", "once", (char*)0); _exit(4); }
  int status = 0;
  wait(&status);
  return status;
}
C
cc -O1 -o src/bin/report report.c -Lsrc/lib -Wl,-rpath-link,src/lib -l:libanswer.so.2 -lm
# A plug-in whose DT_RUNPATH keeps the program's path from serving what it needs: it finds glibc's libraries all the same.
echo '#include <dlfcn.h>
int main(int argc, char** argv) { return argc < 2 || !dlopen(argv[1], RTLD_NOW); }' >load.c
cc -o src/bin/load load.c
echo 'int plugged;' >plug.c
cc -shared -fPIC -Wl,--enable-new-dtags,-rpath,'$ORIGIN' -o src/data/plug.so plug.c -Wl,--no-as-needed -lresolv
printf '#!/bin/sh\nexec "$(dirname "$0")/report"\n' >src/data/script
chmod +x src/data/script
manifest() { # VERSION
  cat >src/manifest.json <<JSON
{ "name": "svc", "version": "$1", "libc": "bundled", "device": "cpu",
  "executables": ["bin/serve", "bin/report", "bin/load", "$HOLDALL_TEST_SERVICE"], "library_paths": ["lib"],
  "files": [{ "from": "data/script", "to": "bin/script" }, { "from": "data/plug.so", "to": "plugins/plug.so" }],
  "service": { "exec": ["bin/$(basename "$HOLDALL_TEST_SERVICE")", "version=$1", "state={state}"],
               "swap": "overlap", "ready_timeout_seconds": 20, "drain_timeout_seconds": 5 } }
JSON
}
for version in 1.0.0 1.0.1; do
  manifest $version
  expect 0 "$pack" -q -m src/manifest.json -o bare/svc-$version.tar.zst
done
sed -i 's/"libc": "bundled", //' src/manifest.json
expect 0 "$pack" -q -m src/manifest.json -o bare/host-libc.tar.zst

# Without it this host is refused, and told what would help; with it, it is not.
expect 5 on_host ./holdall doctor host-libc.tar.zst
grep -A2 E_GLIBC_TOO_OLD out | grep -q 'found: 2.31' || { cat out >&2; fail "what is found is not said"; }
grep -q 'fix: .*"libc": "bundled"' out || { cat out >&2; fail "what would help is not said"; }
expect 5 on_host ./holdall install host-libc.tar.zst
expect 5 on_host ./holdall doctor svc-1.0.0.tar.zst --libc host
expect 2 on_host ./holdall doctor host-libc.tar.zst --libc bundled
says 'brings no C library'
expect 0 on_host ./holdall doctor svc-1.0.0.tar.zst
grep -qx 'verdict: compatible with the bundled libc' out || { cat out >&2; fail "another verdict"; }
[ ! -e bare/.local ] || fail "a refused install left something"

expect 0 on_host ./holdall install svc-1.0.0.tar.zst
id=$(cat out)
expect 0 on_host ./holdall ls --json
grep -q '"libc": "bundled"' out || { cat out >&2; fail "ls does not tell the libc"; }
tree=/mnt/.local/share/holdall/svc/releases/$id/tree
expect 0 on_host ./holdall exec "$id" -- report
printf '%s\n' "$glibc 42 report $tree/bin/report 1.73205" "$glibc 42 the child $tree/bin/report 2" | cmp - out ||
  { cat out >&2; fail "the program and its child do not run as they should"; }
expect 0 on_host ./holdall exec "$id" -- script
grep -q "^$glibc 42 .* $tree/bin/report " out || { cat out >&2; fail "a script's program does not run on it"; }
expect 0 on_host ./holdall exec "$id" -- load "$tree/plugins/plug.so"
expect 0 on_host ./holdall verify "$id"
# What is damaged is had back as it was installed: a program with its loader, a link to the libc.
chmod u+w "bare/${tree#/mnt/}/bin/report" && echo broken >>"bare/${tree#/mnt/}/bin/report" && rm "bare/${tree#/mnt/}/lib/libm.so.6"
expect 0 on_host ./holdall verify "$id" --repair svc-1.0.0.tar.zst
expect 0 on_host ./holdall exec "$id" -- report
expect 0 on_host ./holdall verify "$id"
# What is mapped is the bundle's, to the last library.
expect 0 on_host ./holdall exec "$id" -- env LD_TRACE_LOADED_OBJECTS=1 "$tree/bin/report"
grep -qF "$tree/bin/../lib/libc.so.6" out && ! grep '=> /' out | grep -vF "$tree/" || fail "libraries of the host are loaded"
# Installed for the host's, it would not have run.
mkdir bare/plain && tar --zstd -xf bare/svc-1.0.0.tar.zst -C bare/plain && chown -R 65534:65534 bare/plain
! on_host plain/bin/report 2>err || fail "it runs on glibc 2.31 anyway: the test shows nothing"
says 'GLIBC_2.34'

# A tree that tar unpacked chooses by itself once it is relocated; moved, it keeps to that; undone, it is as packed.
expect 0 on_host ./holdall relocate plain --json
grep -q '"libc": "bundled"' out && grep -q '"changed": 4' out || { cat out >&2; fail "not all four programs were changed"; }
expect 0 on_host ./holdall relocate plain --json
grep -q '"changed": 0' out || { cat out >&2; fail "the second time changes something"; }
on_host plain/bin/report >out || fail "a relocated tree does not run"
mv bare/plain bare/moved
expect 0 on_host ./holdall relocate moved --libc bundled
expect 0 on_host moved/bin/report
grep -qF "/mnt/moved/bin/report" out || { cat out >&2; fail "a moved tree does not run"; }
expect 0 on_host ./holdall relocate moved --undo
mkdir again && tar --zstd -xf bare/svc-1.0.0.tar.zst -C again
diff -r --no-dereference again bare/moved || fail "--undo leaves differences"
expect 0 "$HOLDALL_BIN/holdall" relocate again --json
grep -q '"libc": "host"' out && grep -q '"changed": 0' out || { cat out >&2; fail "something is changed for a libc that will do"; }

# The service: run, upgrade, rollback.
trap 'on_host ./holdall stop --timeout 0 >/dev/null 2>&1 || true' EXIT
expect 0 on_host ./holdall run svc-1.0.0.tar.zst --port 0 --detach
[ "$(on_host ./holdall ls | wc -l)" = 1 ] || fail "the release was not reused"
expect 0 on_host ./holdall upgrade svc-1.0.1.tar.zst
expect 0 on_host ./holdall rollback
expect 0 on_host ./holdall status --json
grep -q "\"release\":\"$id\"" out && grep -q '"ready":true' out || { cat out >&2; fail "not back on the first release"; }
grep -q '"libc":"bundled"' out || { cat out >&2; fail "status does not tell the libc"; }
pid=$(sed -n 's/.*"pid":\([0-9]*\),.*/\1/p' out)
grep -q "$tree/libc/libc.so.6" "/proc/$pid/maps" || fail "the service does not run on the bundle's libc"
! grep -o '/[^ ]*\.so[^ ]*' "/proc/$pid/maps" | grep -vF "$tree/" || fail "the service has libraries of the host"
expect 0 on_host ./holdall doctor --running
grep -qx 'ok    foreign        none' out && ! grep -q '^ok    libc ' out || { cat out >&2; fail "the doctor sees libraries of the host"; }
expect 0 on_host ./holdall stop
# Here, where the libc is new enough, the same archive takes the host's, unless told otherwise.
expect 0 "$HOLDALL_BIN/holdall" doctor bare/svc-1.0.0.tar.zst --json
grep -q '"libc": "host"' out || { cat out >&2; fail "the host's libc is not preferred"; }
expect 0 "$HOLDALL_BIN/holdall" extract bare/svc-1.0.0.tar.zst -C here
! grep -q '/lib/libc.so.6\|/here/libc' <(env LD_TRACE_LOADED_OBJECTS=1 "$PWD/here/bin/report") || fail "the bundle's libc is used here"
expect 0 "$HOLDALL_BIN/holdall" extract bare/svc-1.0.0.tar.zst --libc bundled -C own
own_now() { "$HOLDALL_BIN/holdall" ls --json >listed && grep -q '"libc": "bundled"' listed; }
expect 0 "$HOLDALL_BIN/holdall" install bare/svc-1.0.0.tar.zst
! own_now || fail "the bundled libc was chosen where the host's will do"
expect 0 "$HOLDALL_BIN/holdall" install bare/svc-1.0.0.tar.zst --libc bundled
own_now && [ "$(cat out)" = "$id" ] || fail "the other libc was not installed"
expect 0 "$HOLDALL_BIN/holdall" install bare/svc-1.0.0.tar.zst --json
grep -q '"reused": true' out && own_now || fail "a release that serves was not reused"
expect 0 "$HOLDALL_BIN/holdall" install bare/svc-1.0.0.tar.zst --libc host
! own_now || fail "--libc host was not heard"
grep -qF "$PWD/own/bin/../lib/libc.so.6" <(env LD_TRACE_LOADED_OBJECTS=1 "$PWD/own/bin/report") || fail "--libc bundled is not heard"
