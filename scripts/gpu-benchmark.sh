#!/usr/bin/env bash
# Runs `benchmark` on a GPU; all results are in the folder that --out names (results/benchmark-gpu). Arguments pass through:
#   scripts/gpu-benchmark.sh --preset small --out DIR
#   scripts/gpu-benchmark.sh --device cpu --preset smoke        the same on the CPU, to try it
# LIBTORCH=DIR takes the libtorch in that folder in place of the package TorchSharp-cuda-linux: torch/lib of a PyTorch 2.10 with CUDA.
set -eu
cd "$(dirname "$0")/.."
. scripts/setup.sh
. scripts/gpu-build.sh

set -- --device "$device" "$@"
if [ "$(printf '%s\n' "$@" | grep -c -e '^--device')" -gt 1 ]; then shift 2; fi
if [ -z "$out" ]; then set -- "$@" --out results/benchmark-gpu; fi
# It keeps no checkpoint: started again after it was stopped, it begins anew.
if ! printf '%s\n' "$@" | grep -q -x -e --resume -e --overwrite; then set -- "$@" --overwrite; fi
exec dotnet "$app" benchmark "$@"
