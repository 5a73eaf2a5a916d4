#!/usr/bin/env bash
# ./dev bench [pack|venv|repack|unpack|elf|formats|edit]: ours beside the peers, in turn, on the real libtorch and CUDA libraries.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."
./dev setup cuda
./dev setup packer
./dev setup reference
./dev build release elf_edit >&2
exec python3 tests/bench/bench.py "$@"
