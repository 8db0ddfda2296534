#!/usr/bin/env bash
# Solves 100000 random problems, or as many as the first argument says, and takes gradients through a tenth as many, beside
# their solutions in 32 digits: about ten minutes on one core. LSMRTORCH_SWEEP_SEED sets the first seed.
set -eu
cd "$(dirname "$0")/.."
. scripts/setup.sh

export LSMRTORCH_SWEEP="${1:-100000}"
case "$LSMRTORCH_SWEEP" in
'' | *[!0-9]*)
    echo "The number of cases must be a whole number, but is '$LSMRTORCH_SWEEP'." >&2
    exit 2
    ;;
esac
dotnet build LsmrTorch.Tests -c Release --nologo -v quiet
exec dotnet test LsmrTorch.Tests -c Release --no-build --nologo --logger "console;verbosity=normal" --filter "TestCategory=Sweep"
