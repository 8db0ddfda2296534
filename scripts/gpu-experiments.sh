#!/usr/bin/env bash
# Runs the experiments that train on a GPU, one after the other, each in a folder of its own below the one that --out names
# (results/gpu). One that fails is named at the end, and the others run. Started again, it goes on where it was
# killed, or from the start with --overwrite.
#   scripts/gpu-experiments.sh --preset small --data DIR --out DIR
#   EXPERIMENTS="sparsity scale" scripts/gpu-experiments.sh --preset paper --data DIR
#   scripts/gpu-experiments.sh --device cpu --preset smoke      the same on the CPU, to try it
# LIBTORCH=DIR takes the libtorch in that folder in place of the package TorchSharp-cuda-linux: torch/lib of a PyTorch 2.10 with CUDA.
set -eu
cd "$(dirname "$0")/.."
. scripts/setup.sh
. scripts/gpu-build.sh

passed=() start=--resume
while [ $# -gt 0 ]; do
    case "$1" in
        --device | --out) shift ;;
        --device=* | --out=* | --resume) ;;
        --overwrite) start=--overwrite ;;
        *) passed+=("$1") ;;
    esac
    if [ $# -gt 0 ]; then shift; fi
done

failed=()
for name in ${EXPERIMENTS:-scale sparsity sparsity-sweep equivariance preserve conservativeness conservativeness-images null-space-order periodic}; do
    echo
    echo "== $name"
    dotnet "$app" "$name" --device "$device" ${passed[@]+"${passed[@]}"} --out "${out:-results/gpu}/$name" "$start" || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "These failed: ${failed[*]}. The others are in ${out:-results/gpu}." >&2
    exit 1
fi
echo
echo "All results are in ${out:-results/gpu}."
