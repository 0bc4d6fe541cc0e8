#!/bin/bash
# Unpacks an arm64 system with GStreamer, without running anything of it, to run
# arm64 programs in with qemu-user: qemu-aarch64-static -L DIR PROGRAM.
#   cross/runroot.sh DIR [MIRROR]
set -euo pipefail
suite=bookworm
packages="libc6 libgcc-s1 libstdc++6 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
 gstreamer1.0-plugins-ugly gstreamer1.0-libav ca-certificates"
dir=$(realpath -m "${1:?usage: runroot.sh DIR [MIRROR]}")
here=$(dirname "$(realpath "$0")")
mirror=${2:-$("$here/mirror.sh")}

[ -f "$dir/SHA256SUMS" ] && exit 0
echo "fetching an arm64 system with GStreamer (Debian $suite, 160 MB)"
mkdir -p "$(dirname "$dir")"
work=$(mktemp -d "$(dirname "$dir")/runroot.XXXXXX")
trap 'rm -rf "$work"' EXIT
. "$here/foreign-apt.sh"
foreign_apt "$work/apt" arm64 "$suite" "$mirror"
# shellcheck disable=SC2086 # a list on purpose
apt_arm64 -y --download-only install $packages >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 69; }
mkdir "$work/root"
for deb in "$work"/apt/cache/archives/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
relative_links "$work/root"
# The links that update-alternatives would make.
for lib in blas/libblas.so.3 lapack/liblapack.so.3; do
	[ -e "$work/root/usr/lib/aarch64-linux-gnu/$lib" ] && ln -snf "$lib" "$work/root/usr/lib/aarch64-linux-gnu/$(basename "$lib")"
done
(cd "$work/apt/cache/archives" && sha256sum ./*.deb) >"$work/root/SHA256SUMS"
rm -rf "$work"/root/usr/share/{doc,man,locale}
mv -T "$work/root" "$dir"
