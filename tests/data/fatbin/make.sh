#!/usr/bin/env bash
# Makes the fat binaries of this folder again, from kernel.cu, with nvcc of CUDA 13.0. No test runs this.
set -euo pipefail
cd "$(dirname "$0")"
fatbin() { # NAME ARGUMENT...
  local name=$1
  shift
  nvcc -fatbin -o "$name.fatbin" "$@" kernel.cu
}
gpus=(-gencode arch=compute_75,code=sm_75 -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a
  -gencode arch=compute_100f,code=sm_100f -gencode arch=compute_90,code=compute_90)
fatbin zstd --compress-mode=size "${gpus[@]}"
fatbin plain --no-compress -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=compute_90
fatbin lz4 --compress-mode=speed -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=compute_80
fatbin ptx_only --no-compress -gencode arch=compute_80,code=compute_80
fatbin lto -gencode arch=compute_80,code=lto_80
