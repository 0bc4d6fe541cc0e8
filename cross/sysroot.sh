#!/bin/bash
# Unpacks the arm64 headers and libraries that Perch is built against, from Debian
# packages, whose signatures apt checks. It needs neither root nor a foreign
# architecture on this machine.
#   cross/sysroot.sh DIR [MIRROR]
set -euo pipefail
# Debian 12 gives symbols up to glibc 2.34 here, and JetPack 6 has 2.35. Debian 11
# would give older ones still, but is about to leave the mirrors.
suite=bookworm
packages="libc6 libc6-dev linux-libc-dev libcrypt1 libcrypt-dev libglib2.0-0 libglib2.0-dev
 libgstreamer1.0-0 libgstreamer1.0-dev libgstreamer-plugins-base1.0-0 libgstreamer-plugins-base1.0-dev"
dir=$(realpath -m "${1:?usage: sysroot.sh DIR [MIRROR]}")
here=$(dirname "$(realpath "$0")")
mirror=${2:-$("$here/mirror.sh")}

[ -f "$dir/SHA256SUMS" ] && exit 0
echo "fetching an arm64 sysroot (Debian $suite, 15 MB)"
mkdir -p "$(dirname "$dir")"
work=$(mktemp -d "$(dirname "$dir")/sysroot.XXXXXX")
trap 'rm -rf "$work"' EXIT
. "$here/foreign-apt.sh"
foreign_apt "$work/apt" arm64 "$suite" "$mirror"

# shellcheck disable=SC2086 # a list on purpose
(cd "$work/apt/cache/archives" && apt_arm64 download $packages)
mkdir -p "$work/root/symbols"
for deb in "$work"/apt/cache/archives/*.deb; do
	dpkg-deb -x "$deb" "$work/root"
	# Which version brought a symbol: check.sh reads it.
	dpkg-deb -I "$deb" symbols >"$work/root/symbols/$(dpkg-deb -f "$deb" Package).symbols" 2>/dev/null ||
		rm "$work/root/symbols/$(dpkg-deb -f "$deb" Package).symbols"
done
relative_links "$work/root"
# Static linking is not what we do, and its libraries are not in here.
find "$work/root" -name '*.pc' -exec sed -i -e '/^Requires.private:/d' -e '/^Libs.private:/d' {} +
rm -rf "$work"/root/usr/share/{doc,man,locale,gtk-doc,gir-1.0,bug,lintian,gdb,glib-2.0/gettext}
(cd "$work/apt/cache/archives" && sha256sum ./*.deb) >"$work/root/SHA256SUMS"
# Whole or not at all.
mv -T "$work/root" "$dir"
