#!/bin/bash
# Writes the source archive of the last commit twice, from this checkout and from a
# clone in another folder, compares the bytes, and looks whether what is unpacked
# knows its version, has every file of the commit, and takes the modules of lgpl/.
#   packaging/test/source.sh CACHE
set -euo pipefail
cache=${1:?usage: source.sh CACHE}
here=$(dirname "$(realpath "$0")")
top=$(realpath "$here/../..")
if [ -n "$(git -C "$top" status --porcelain)" ]; then
	echo "source.sh: left out: there are changes that are not committed" >&2
	exit 0
fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/source.XXXXXX")
trap 'rm -rf "$work"' EXIT
git clone -q "$top" "$work/clone"
first=$("$top/packaging/source.sh" v1.2.3-rc1 "$work/first")
(umask 077 && "$work/clone/packaging/source.sh" v1.2.3-rc1 "$work/second") >/dev/null
cmp "$first" "$work/second/perch_1.2.3~rc1_source.tar.xz"
mkdir "$work/unpacked"
tar -xf "$first" -C "$work/unpacked"
tree=$work/unpacked/perch-1.2.3~rc1
(cd "$top" && git ls-files) | (cd "$tree" && xargs -d '\n' stat -- >/dev/null)
cd "$tree"
make -n source | grep -F 'packaging/source.sh v1.2.3-rc1 dist' >/dev/null || { echo "source.sh: the unpacked source does not know its version" >&2; exit 1; }
for module in go-gst go-glib; do
	go mod edit -replace "github.com/go-gst/$module=./lgpl/$module"
	[ "$(go list -m -f '{{.Dir}}' "github.com/go-gst/$module")" = "$tree/lgpl/$module" ] || { echo "source.sh: lgpl/$module is not taken" >&2; exit 1; }
done
go list -deps ./cmd/perch >/dev/null
echo "same bytes: $(basename "$first"); unpacked, it takes go-gst and go-glib from its folder lgpl"
