# Sourced by scripts/gpu-*.sh, in the project's folder, after setup.sh, with the script's arguments: reads --device and --out
# (device, out), builds the experiments for them, and leaves the application's path in app.
# LIBTORCH=DIR takes the libtorch in that folder in place of the package TorchSharp-cuda-linux: torch/lib of a PyTorch 2.10 with CUDA.
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
if ! dotnet build experiments -c Release --nologo -v quiet "-p:Torch=$torch" --artifacts-path "artifacts/gpu-$torch"; then
    echo "There is no build with Torch=$torch (see above). Where the feed lacks TorchSharp-cuda-linux, set LIBTORCH to torch/lib of a PyTorch 2.10 with CUDA." >&2
    exit 1
fi
app=$(find "artifacts/gpu-$torch/bin/experiments" -maxdepth 2 -name LsmrTorch.Experiments.dll | head -n 1)
