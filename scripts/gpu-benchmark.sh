#!/usr/bin/env bash
# Runs `benchmark` on a GPU; all results are in the folder that --out names (results/benchmark-gpu). Arguments pass through:
#   scripts/gpu-benchmark.sh --preset small --out DIR
#   scripts/gpu-benchmark.sh --device cpu --preset smoke        the same on the CPU, to try it
# LIBTORCH=DIR takes the libtorch in that folder in place of the package TorchSharp-cuda-linux: torch/lib of a PyTorch 2.10 with CUDA.
set -eu
cd "$(dirname "$0")/.."
. scripts/setup.sh

device=cuda out=
previous=
for argument in "$@"; do
    case "$previous" in
        --device) device=$argument ;;
        --out) out=$argument ;;
    esac
    case "$argument" in
        --device=*) device=${argument#*=} ;;
        --out=*) out=${argument#*=} ;;
    esac
    previous=$argument
done
set -- --device "$device" "$@"
if [ "$(printf '%s\n' "$@" | grep -c -e '^--device')" -gt 1 ]; then shift 2; fi
if [ -z "$out" ]; then set -- "$@" --out results/benchmark-gpu; fi

torch=cpu
if [ "$device" = cuda ]; then
    if ! nvidia-smi -L >/dev/null 2>&1; then
        echo "There is no GPU here: nvidia-smi lists none. '--device cpu' runs the same on the CPU." >&2
        exit 1
    fi
    torch=cuda
fi
if [ -n "${LIBTORCH:-}" ]; then
    if [ ! -e "$LIBTORCH/libtorch.so" ]; then
        echo "LIBTORCH is $LIBTORCH, but there is no libtorch.so in it." >&2
        exit 1
    fi
    if [ "$device" = cuda ] && [ ! -e "$LIBTORCH/libtorch_cuda.so" ]; then
        echo "The libtorch in $LIBTORCH is no CUDA build: it has no libtorch_cuda.so." >&2
        exit 1
    fi
    torch=external
    export LD_LIBRARY_PATH="$LIBTORCH${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi

# A folder of its own for each libtorch, so that no build finds what another one left.
if ! dotnet build experiments -c Release --nologo -v quiet "-p:Torch=$torch" --artifacts-path "artifacts/benchmark-$torch"; then
    echo "There is no build with Torch=$torch (see above). Where the feed lacks TorchSharp-cuda-linux, set LIBTORCH to torch/lib of a PyTorch 2.10 with CUDA." >&2
    exit 1
fi
app=$(find "artifacts/benchmark-$torch/bin/experiments" -maxdepth 2 -name LsmrTorch.Experiments.dll | head -n 1)
exec dotnet "$app" benchmark "$@"
