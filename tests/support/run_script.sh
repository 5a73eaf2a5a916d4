#!/usr/bin/env bash
# Runs one black-box test in an empty folder of its own; keeps and names the folder if the test fails.
set -uo pipefail
script=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/holdall-test.XXXXXX")
cd "$folder" || exit 1
export HOME="$folder/home" TMPDIR="$folder/tmp"
unset XDG_DATA_HOME XDG_RUNTIME_DIR XDG_CONFIG_HOME HOLDALL_ROOT
mkdir -p "$HOME" "$TMPDIR"
bash -euo pipefail "$script"
status=$?
cd /
if [ $status -eq 0 ]; then rm -rf "$folder"; else echo "left for inspection: $folder" >&2; fi
exit $status
