#!/bin/bash
# Builds the Debian packages: for amd64, for arm64 (see cross/), checked.
#   packaging/deb.sh VERSION OUT_DIR [ARCH...]
set -euo pipefail
version=${1:?usage: deb.sh VERSION OUT_DIR [ARCH...]} out=${2:?}
shift 2
[ $# -gt 0 ] || set -- amd64 arm64
here=$(dirname "$(realpath "$0")")
top=$(dirname "$here")
# An unpacked source archive has a file that says what git would.
seconds() { cut -d' ' -f2 "$top/.source" 2>/dev/null || git -C "$top" log -1 --format=%ct; }
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(seconds)}
export SOURCE_DATE_EPOCH
deb=$("$here/version.sh" "$version" "$SOURCE_DATE_EPOCH")

mkdir -p "$out"
# The completions are the same everywhere; this machine can run the amd64 program.
"$top/cross/build.sh" amd64 "$version" "$out/perch-amd64"
for shell in bash zsh fish; do "$out/perch-amd64" completion $shell >"$out/perch.$shell"; done
for arch in "$@"; do
	"$top/cross/build.sh" "$arch" "$version" "$out/perch-$arch"
	"$top/cross/checked.sh" "$arch" "$out/perch-$arch"
	"$here/mkdeb.sh" "$arch" "${DEB_VERSION:-$deb}" "$out/perch-$arch" "$("$here/ort.sh" "$arch")" "$out" "$out"
done
