#!/usr/bin/env bash
# Builds with warnings as errors, checks the format, runs every test. The last line reads: N passed, N failed, N skipped
set -u
cd "$(dirname "$0")/.."
. scripts/setup.sh

export CI=true
if ! dotnet build LsmrTorch.sln -c Release; then
    echo "The build failed; no test was run."
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
if ! dotnet format LsmrTorch.sln --verify-no-changes --no-restore; then
    echo "The format is not clean (dotnet format mends it); no test was run."
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
dotnet test LsmrTorch.Tests -c Release --no-build --logger "console;verbosity=normal" "$@" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

count() { local n; n=$(sed -nE "s/^ +$1: ([0-9]+)$/\1/p" "$log" | tail -n 1); echo "${n:-0}"; }
passed=$(count Passed) failed=$(count Failed) skipped=$(count Skipped)
if [ "$skipped" -gt 0 ]; then
    echo "Skipped, and why:"
    sed -nE 's/^ +Skipped (.*) \[[^]]*\]$/\1/p' "$log" | while IFS= read -r name; do
        grep -m 1 -F "$name: " "$log" || echo "$name"
    done
fi
# A run that stopped half-way has failed, whatever it counted.
if [ "$code" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
if [ "$((passed + failed))" -eq 0 ]; then code=1 failed=1; fi
echo "$passed passed, $failed failed, $skipped skipped"
exit "$code"
