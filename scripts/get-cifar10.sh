#!/usr/bin/env bash
# Downloads CIFAR-10 (binary version, 162 MiB) from its publisher, checks it, and unpacks it into a folder for --data:
#   scripts/get-cifar10.sh [DIR]        DIR is data by default; the files come into DIR/cifar-10-batches-bin
# What is there already and whole is kept; a broken download is not unpacked. Every address, redirects among them, is https.
set -eu
url=https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz
md5=c32a1d4ab5d03f1284b67883e8d87530
sha256=c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
record=3073 images=10000
directory=${1:-data}
target=$directory/cifar-10-batches-bin
files="data_batch_1.bin data_batch_2.bin data_batch_3.bin data_batch_4.bin data_batch_5.bin test_batch.bin"

fail() {
    echo "$1" >&2
    exit 1
}

whole() {
    for file in $files; do
        [ -f "$1/$file" ] && [ "$(wc -c <"$1/$file")" -eq $((record * images)) ] || return 1
    done
}

if whole "$target"; then
    echo "CIFAR-10 is in $target already."
    exit 0
fi
if [ -e "$target" ]; then
    fail "$target is there, but is not the whole of CIFAR-10 (six files of $((record * images)) bytes); move it away or name another folder."
fi
if command -v curl >/dev/null 2>&1; then
    download() {
        curl --proto '=https' --proto-redir '=https' --tlsv1.2 --fail --location --max-redirs 5 --show-error --progress-bar \
            --output "$2" "$1"
    }
elif command -v wget >/dev/null 2>&1; then
    # wget follows redirects to http whatever it is told, so it follows none.
    download() { wget --secure-protocol=TLSv1_2 --max-redirect=0 --output-document="$2" "$1"; }
else
    fail "Neither curl nor wget is installed, and one of them is needed for the download."
fi
if command -v md5sum >/dev/null 2>&1; then
    md5_of() { md5sum "$1" | cut -d ' ' -f 1; }
elif command -v md5 >/dev/null 2>&1; then
    md5_of() { md5 -q "$1"; }
else
    fail "Neither md5sum nor md5 is installed, and without one of them the download cannot be checked."
fi
if command -v sha256sum >/dev/null 2>&1; then
    sha256_of() { sha256sum "$1" | cut -d ' ' -f 1; }
elif command -v shasum >/dev/null 2>&1; then
    sha256_of() { shasum -a 256 "$1" | cut -d ' ' -f 1; }
else
    fail "Neither sha256sum nor shasum is installed, and without one of them the download cannot be checked."
fi
mkdir -p "$directory" || fail "The folder $directory cannot be made."
work=$(mktemp -d "$directory/cifar-10-download.XXXXXX") || fail "The folder $directory cannot be written to."
trap 'rm -rf "$work"' EXIT

archive=$work/cifar-10-binary.tar.gz
download "$url" "$archive" || fail "The download of $url failed (see above); nothing was kept."
found=$(md5_of "$archive")
[ "$found" = "$md5" ] || fail "The download has the MD5 sum $found, but CIFAR-10's is $md5; nothing was kept. Try again later."
found=$(sha256_of "$archive")
[ "$found" = "$sha256" ] || fail "The download has the SHA-256 sum $found, but CIFAR-10's is $sha256; nothing was kept."
tar --no-same-owner -xzf "$archive" -C "$work" || fail "The archive cannot be unpacked (see above); nothing was kept."
whole "$work/cifar-10-batches-bin" || fail "The archive does not hold six files of $((record * images)) bytes; nothing was kept."
mv "$work/cifar-10-batches-bin" "$target"
echo "CIFAR-10 is in $target: 50,000 training and 10,000 test images. Give it to an experiment by --data $target"
