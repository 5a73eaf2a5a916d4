#!/usr/bin/env bash
# arrows_can_fail.sh ARROWS SOURCE GRAPH: each forbidden arrow that is added to the graph must be reported.
set -euo pipefail
arrows=$1 source_folder=$2 graph=$3
copy=$(mktemp)
trap 'rm -f "$copy"' EXIT
refuses() {
  { cat "$graph"; printf '%s\n' "$@"; } >"$copy"
  if bash "$arrows" "$source_folder" "$copy" >/dev/null; then
    echo "not reported: $*" >&2
    exit 1
  fi
}
refuses "holdall_launcher_core launcher p_core" "p_core packer holdall_bundle"
refuses "holdall_bundle bundle l_core" "l_core launcher x"
refuses "service_x runtime/service LibTorch::cpu"
refuses "service_x runtime/service middle" "middle runtime/models LibTorch::cpu"
refuses "worker_x runtime/worker holdall_bundle" "holdall_bundle bundle x"
refuses "x_core packer test_support" "test_support tests/support x"
