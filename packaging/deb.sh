#!/bin/bash
# Builds the Debian packages: for amd64, for arm64 (see cross/), checked.
#   packaging/deb.sh VERSION OUT_DIR [ARCH...]
set -euo pipefail
version=${1:?usage: deb.sh VERSION OUT_DIR [ARCH...]} out=${2:?}
shift 2
[ $# -gt 0 ] || set -- amd64 arm64
here=$(dirname "$(realpath "$0")")
top=$(dirname "$here")
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

# A tag v1.2.3 is version 1.2.3. Anything else sorts before the first release, by
# the time of its commit.
case $version in
v[0-9]*) deb=$(echo "${version#v}" | tr - +) ;;
*) deb=0~git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S)+$(echo "$version" | tr - .) ;;
esac

mkdir -p "$out"
# The completions are the same everywhere; this machine can run the amd64 program.
"$top/cross/build.sh" amd64 "$version" "$out/perch-amd64"
for shell in bash zsh fish; do "$out/perch-amd64" completion $shell >"$out/perch.$shell"; done
for arch in "$@"; do
	"$top/cross/build.sh" "$arch" "$version" "$out/perch-$arch"
	"$top/cross/checked.sh" "$arch" "$out/perch-$arch"
	"$here/mkdeb.sh" "$arch" "${DEB_VERSION:-$deb}" "$out/perch-$arch" "$("$here/ort.sh" "$arch")" "$out" "$out"
done
