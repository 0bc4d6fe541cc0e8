#!/bin/bash
# Builds the packages of the last commit again, from a clone in another folder, and
# compares them byte for byte with those in DIR. With COLD=1 nothing comes out of
# Go's build cache, which takes a quarter of an hour.
#   packaging/test/same.sh DIR CACHE [ARCH...]
set -euo pipefail
dir=$(realpath "${1:?usage: same.sh DIR CACHE [ARCH...]}") cache=${2:?}
shift 2
[ $# -gt 0 ] || set -- amd64 arm64
here=$(dirname "$(realpath "$0")")
top=$(realpath "$here/../..")
if [ -n "$(git -C "$top" status --porcelain)" ]; then
	echo "same.sh: left out: there are changes that are not committed, so a clone is another source" >&2
	exit 0
fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/same.XXXXXX")
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
git clone -q "$top" "$work/clone"
MAINTAINER=$(dpkg-deb -f "$("$here/../newest.sh" "$dir" "$1")" Maintainer)
export MAINTAINER
[ -z "${COLD:-}" ] || export GOCACHE=$work/gocache
"$work/clone/packaging/deb.sh" "$(git -C "$top" describe --tags --always)" "$work/out" "$@" >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
for arch in "$@"; do
	first=$("$here/../newest.sh" "$dir" "$arch")
	second=$("$here/../newest.sh" "$work/out" "$arch")
	cmp "$first" "$second"
	cmp "${first%.deb}.cdx.json" "${second%.deb}.cdx.json"
	echo "same bytes: $(basename "$first") $(sha256sum <"$first" | cut -c1-16)"
done
