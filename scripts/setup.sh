# Sourced by the other scripts: finds the .NET SDK and says how to get it where it is missing.
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

# Threads that wait give their core away: on shared cores spinning ones make two threads slower than one.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"

if ! command -v dotnet >/dev/null 2>&1 || ! dotnet --list-sdks | grep -q '^10\.'; then
    echo "LsmrTorch needs the .NET 10 SDK, and 'dotnet --list-sdks' shows none." >&2
    echo "Get it from https://dotnet.microsoft.com/download/dotnet/10.0 or by your system's packages (dotnet-sdk-10.0)." >&2
    exit 1
fi

# A collection in the middle of a native call frees what TorchSharp does not keep alive; a large first generation
# makes collections rare (see "Long runs" in README.md).
export DOTNET_GCgen0size="${DOTNET_GCgen0size:-0x10000000}"
