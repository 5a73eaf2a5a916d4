#!/usr/bin/env bash
# Trains the starter model from nothing: autoencoder, then editor, then the checkpoint and its figures. Needs the reference
# environment (./dev setup reference). Run again after an interruption, it goes on where it was.
#
#   train.sh [--smoke] [--workers N] [STATE]
#
# STATE holds states, logs and at the end the checkpoint in STATE/checkpoint; default $HOLDALL_CACHE/starter-model.
# --smoke: a few steps of each, to see that every part runs; without STATE nothing is kept. Its checkpoint edits nothing.
set -euo pipefail
here=$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")
python="${HOLDALL_REFERENCE_PYTHON:-$here/../../build/reference/bin/python}"
smoke=0 workers=$(nproc) state=
while [ $# -gt 0 ]; do
  case "$1" in
    --smoke) smoke=1 ;;
    --workers) shift; workers=${1:?train.sh: --workers needs a number} ;;
    -*) echo "train.sh: unknown option '$1': train.sh [--smoke] [--workers N] [STATE]" >&2; exit 2 ;;
    *) state=$1 ;;
  esac
  shift
done
[ -x "$python" ] || { echo "train.sh: no reference environment at '$python': run ./dev setup reference" >&2; exit 7; }
if [ $smoke = 1 ]; then
  if [ -z "$state" ]; then
    state=$(mktemp -d)
    trap 'rm -rf "$state"' EXIT
  fi
  autoencoder=(--steps 8 --batch 8 --log-every 4)
  editor=(--read-steps 2 --steps 4 --batch 6 --log-every 2 --judge-every 4 --judge-count 5)
  figures=(--count 10 --no-gate)
else
  state=${state:-${HOLDALL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/holdall}/starter-model}
  # Meant for two quiet cores and three hours: a quarter of an hour for the autoencoder, 450,000 samples for the editor.
  autoencoder=()
  editor=(--steps $((450000 / 32 / workers)))
  figures=(--count 400)
fi
"$python" "$here/train_autoencoder.py" --state "$state" "${autoencoder[@]}"
"$python" "$here/train_editor.py" --state "$state" --workers "$workers" "${editor[@]}"
"$python" "$here/export.py" "$state" "$state/checkpoint"
"$python" "$here/evaluate.py" --checkpoint "$state/checkpoint" "${figures[@]}" --sheet "$state/sheet.png"
