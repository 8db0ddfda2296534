#!/usr/bin/env bash
# Builds, then runs the smoke presets on generated data: a network trained under constraints, in about two minutes.
# Started again, it starts afresh. With arguments it runs that experiment instead: ./scripts/run.sh sparsity --preset small --data DIR
set -eu
cd "$(dirname "$0")/.."
. scripts/setup.sh

dotnet build experiments -c Release --nologo -v quiet
if [ $# -gt 0 ]; then
    exec dotnet run --project experiments -c Release --no-build -- "$@"
fi
for name in periodic sparsity; do
    echo
    echo "== $name"
    dotnet run --project experiments -c Release --no-build -- "$name" --preset smoke --out "results/$name-smoke" --overwrite
done
echo
echo "The plots are in results/periodic-smoke/plots and results/sparsity-smoke/plots."
