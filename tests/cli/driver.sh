# The driver's libraries, wherever they lie, are what a service and `exec` get of the host, and what `doctor --running` tells
# from other libraries of the host.
source "$HOLDALL_SOURCE/tests/cli/serve_fixture.sh"
trap '"$holdall" stop --timeout 0 >/dev/null 2>&1 || true' EXIT
url=
ask() { # PATH
  exec 3<>"/dev/tcp/127.0.0.1/${url##*:}"
  printf 'GET %s HTTP/1.1\r\nHost: test\r\n\r\n' "$1" >&3
  sed '1,/^\r$/d' <&3
  exec 3>&-
}

# A driver that no loader finds, and a bundle that wants one.
driver() { # VERSION CUDA
  mkdir -p odd
  cc -shared -fPIC -DVERSION="$2" -o "odd/libcuda.so.$1" "$HOLDALL_SOURCE/tests/launcher/doctor/stand_in_libcuda.c"
  ln -sf "libcuda.so.$1" odd/libcuda.so.1
  for name in libnvidia-ml.so.1 libnvidia-ptxjitcompiler.so.1 "libnvidia-gpucomp.so.$1" libz.so.1; do
    echo 'int nothing;' | cc -shared -fPIC -o "odd/$name" -x c -
  done
}
driver 580.65.06 13000
mkdir -p src/bin src/lib
echo 'int cudart(void) { return 13; }' | cc -shared -fPIC -Wl,-soname,libcudart.so.13 -o src/lib/libcudart.so.13 -x c -
cat >cuda_version.c <<'C'
#include <dlfcn.h>
#include <stdio.h>
int cudart(void);
int main(void) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW);
  int (*ask)(int*) = driver ? (int (*)(int*))dlsym(driver, "cuDriverGetVersion") : 0, version = 0;
  if (!ask || ask(&version) != 0) return 1;
  printf("%d\n", version + cudart() - 13);
  return 0;
}
C
cc -o src/bin/cuda_version cuda_version.c src/lib/libcudart.so.13
cat >src/manifest.json <<END
{ "name": "demo", "version": "1", "device": "cuda", "executables": ["$HOLDALL_TEST_SERVICE", "bin/cuda_version"], "library_paths": ["lib"],
  "service": { "exec": ["bin/$(basename "$HOLDALL_TEST_SERVICE")", "version=1", "state={state}"],
               "ready_timeout_seconds": 20, "drain_timeout_seconds": 5 } }
END
"$HOLDALL_BIN/holdall-pack" -q -m src/manifest.json -o demo.tar.zst >/dev/null

expect 5 "$holdall" run demo.tar.zst --libcuda odd/libcuda.so.1 --port 0 --detach
says err E_NO_GPU
[ ! -e root ] || fail "a refused run left something behind"
expect 0 "$holdall" run demo.tar.zst --libcuda odd/libcuda.so.1 --allow-cpu --port 0 --detach
url=$(cat out)

# Links to the driver's libraries, and to nothing else that lies beside them.
linked() { # LIBCUDA
  (cd root/demo/driver && for name in *; do echo "$name $(readlink "$name")"; done) >links
  printf '%s\n' "libcuda.so.1 $PWD/odd/$1" "${1/cuda/nvidia-gpucomp} $PWD/odd/${1/cuda/nvidia-gpucomp}" \
    "libnvidia-ml.so.1 $PWD/odd/libnvidia-ml.so.1" "libnvidia-ptxjitcompiler.so.1 $PWD/odd/libnvidia-ptxjitcompiler.so.1" |
    LC_ALL=C sort | diff - <(LC_ALL=C sort links) >&2 || fail "other links"
}
linked libcuda.so.580.65.06
says <(ask /environment | tr '\0' '\n') "LD_LIBRARY_PATH=$PWD/root/demo/driver"
says <(LD_LIBRARY_PATH=/foreign "$holdall" exec -- env) "LD_LIBRARY_PATH=$PWD/root/demo/driver"
says <(LD_LIBRARY_PATH=/foreign "$holdall" exec --keep-env -- env) "LD_LIBRARY_PATH=$PWD/root/demo/driver:/foreign"
[ "$("$holdall" exec -- cuda_version)" = 13000 ] || fail "a program does not find the driver"

# What is loaded of the host: glibc. 7 if nothing runs.
expect 0 "$holdall" doctor --running
says out 'ok    foreign        none'
says out 'libc.so.6 ('
expect 0 "$holdall" doctor --running --json
says out '"id": "foreign"'
expect 0 "$holdall" stop
expect 7 "$holdall" doctor --running
says err "does not run"
expect 2 "$holdall" doctor --running demo.tar.zst

# A driver that was upgraded in between; the option is remembered.
rm -r odd
driver 590.44.01 13010
expect 0 "$holdall" start --detach
linked libcuda.so.590.44.01
[ "$("$holdall" exec -- cuda_version)" = 13010 ] || fail "a program does not find the new driver"
expect 0 "$holdall" gc
linked libcuda.so.590.44.01
[ -z "$(ls root/demo/staging)" ] || fail "links that were replaced are left behind"
expect 0 "$holdall" stop

# A library of the host that was let in is told apart from the driver's.
echo 'int foreign;' | cc -shared -fPIC -o libforeign.so -x c -
LD_PRELOAD="$PWD/libforeign.so:$PWD/odd/libcuda.so.1" expect 0 "$holdall" run demo.tar.zst --libcuda odd/libcuda.so.1 --allow-cpu --keep-env \
  --port 0 --detach
expect 0 "$holdall" doctor --running
says out "found: $PWD/libforeign.so ("
says out "ok    driver         $PWD/odd/libcuda.so.590.44.01 ("
says out 'leave out --keep-env'
