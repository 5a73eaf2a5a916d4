#!/usr/bin/env bash
# binaries.sh BIN RUNTIME SOURCE: what the produced programs link and where they look for it.
set -euo pipefail
bin=$1 runtime=$2 source_folder=$3
fail() { echo "$*" >&2; exit 1; }
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }
checks=0

[ -z "$(needed "$bin/holdall")" ] || fail "holdall is not static: needs $(needed "$bin/holdall")"
! readelf -l "$bin/holdall" | grep INTERP || fail "holdall asks for a program interpreter"
checks=$((checks + 2))
if [ "$runtime" = 1 ]; then
  ! needed "$bin/holdall-edit" | grep -E 'torch|libc10|cuda' || fail "holdall-edit links torch"
  needed "$bin/holdall-edit-worker" | grep -x libtorch_cpu.so || fail "holdall-edit-worker does not link libtorch_cpu"
  ! needed "$bin/holdall-edit-worker" | grep -E 'boost|cuda|libssl' || fail "holdall-edit-worker links what it must not"
  for program in holdall-edit holdall-edit-worker; do
    [ "$(readelf -d "$bin/$program" | sed -n 's/.*(RPATH).*\[\(.*\)\]/\1/p')" = '$ORIGIN/../lib' ] ||
      fail "$program has no DT_RPATH \$ORIGIN/../lib"
    checks=$((checks + 1))
  done
  checks=$((checks + 3))
fi
for program in "$bin"/holdall*; do
  ! grep -qaF "$source_folder" "$program" || fail "$program contains the path of the checkout"
  checks=$((checks + 1))
done
echo "$checks checks passed"
