#!/usr/bin/env bash
# ./dev bench [pack|unpack]: ours beside the peers, in turn, on the real libtorch and CUDA libraries.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."
./dev setup cuda
exec python3 tests/bench/bench.py "$@"
