#!/bin/bash
# Writes the source that belongs to the packages of the last commit: what is in git,
# and in lgpl/ the modules under the LGPL, of the versions that are linked, to be
# changed and linked anew. The same commit gives the same bytes.
#   packaging/source.sh VERSION OUT_DIR
set -euo pipefail
version=${1:?usage: source.sh VERSION OUT_DIR} out=${2:?}
here=$(dirname "$(realpath "$0")")
top=$(dirname "$here")
if ! [ -e "$top/.git" ]; then
	echo "source.sh: $top is no git checkout; the archive that it was unpacked from is its source" >&2
	exit 66
fi
if [ -n "$(git -C "$top" status --porcelain)" ]; then
	echo "source.sh: there are changes that are not committed, so that the last commit is not the packages' source" >&2
	exit 65
fi
seconds=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct)}
deb=${DEB_VERSION:-$("$here/version.sh" "$version" "$seconds")}
umask 022
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
tree=$work/perch-$deb
mkdir -p "$tree/lgpl" "$out"
git -C "$top" archive --format=tar HEAD | tar -x -C "$tree"
# What git would say, for a build in a folder that has none.
printf '%s %s\n' "$version" "$seconds" >"$tree/.source"
for module in github.com/go-gst/go-gst github.com/go-gst/go-glib; do
	dir=$(cd "$top" && go mod download "$module" && go list -m -f '{{.Dir}}' "$module")
	cp -r "$dir" "$tree/lgpl/${module##*/}"
done
chmod -R u+w,go-w "$tree"
name=perch_${deb}_source.tar.xz
tar -C "$work" --sort=name --mtime="@$seconds" --owner=0 --group=0 --numeric-owner --format=gnu -c "perch-$deb" | xz -6 -T1 >"$work/$name"
mv "$work/$name" "$out/$name"
echo "$out/$name"
