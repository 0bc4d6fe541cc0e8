#!/bin/bash
# Tests an arm64 package on this amd64 machine, every instruction emulated
# (qemu-user): installed, run and purged in an arm64 Debian 12, not running and
# running. The results of the clip have to be those of the amd64 program.
#   cross/test-arm64.sh ARM64_PACKAGE AMD64_PROGRAM AMD64_ORT_LIBRARY CLIP
# CLIP is an H.264 file in MP4; all of it is decoded, and MAX_FPS frames of each
# second (0.3) go through the model. Needs root; without, or where the kernel takes
# no handler for arm64 programs, the program is tested alone, and what was left out
# is said.
set -euo pipefail
package=$(realpath "${1:?usage: test-arm64.sh ARM64_PACKAGE AMD64_PROGRAM AMD64_ORT_LIBRARY CLIP}")
native=$(realpath "${2:?}") ort=$(realpath "${3:?}") clip=$(realpath "${4:?}")
here=$(dirname "$(realpath "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/perch/cross
command -v qemu-aarch64-static >/dev/null || { echo "test-arm64.sh: apt-get install qemu-user-static" >&2; exit 69; }
. "$here/arm64-checks.sh"
. "$here/binfmt.sh"

mkdir -p "$cache"
# The handler is the kernel's: the first to end would take it from the other.
exec 9>"$cache/test-arm64.lock"
flock -n 9 || { echo "test-arm64.sh: another one is running" >&2; exit 75; }
work=$(mktemp -d "$cache/test.XXXXXX")
finish() {
	rm -rf --one-file-system "$work"
	binfmt_undo
}
trap finish EXIT
trap 'exit 130' INT TERM

stage "amd64"
# The model takes six seconds and more for a frame in emulation.
export MAX_FPS=${MAX_FPS:-0.3}
cp "$clip" "$work/clip.mp4"
frames amd64 "$work/clip.mp4" env PERCH_DATA_DIR="$work/amd64" GST_REGISTRY="$work/native.bin" PERCH_MODELS_ONNXRUNTIME="$ort" "$native"
ok "reference: $(counted amd64)"

if [ "$(id -u)" != 0 ]; then
	why="it needs root"
elif ! unshare -m -n -p -f true 2>"$work/why" || ! binfmt_arm64 >"$work/why"; then
	why=$(cat "$work/why")
else
	why=""
fi
if [ -z "$why" ]; then
	root=$("$here/arm64-root.sh" "$package" "$cache")
	unshare -m -n -p -f --kill-child --propagation private "$here/arm64-installed.sh" "$package" "$root" "$work" || bad "the system that does not run: see above"
	"$here/arm64-booted.sh" "$package" "$root" "$work" || bad "the system that runs: see above"
else
	stage "the program alone, unpacked"
	"$here/runroot.sh" "$cache/runroot-arm64"
	cp -al "$cache/runroot-arm64" "$work/root"
	dpkg-deb -x "$package" "$work/root"
	# The plugin scanner is an arm64 program, which this machine does not start by itself.
	alone() {
		env HOME="$work" GST_REGISTRY="$work/arm64.bin" GST_REGISTRY_FORK=no PERCH_DATA_DIR="$work/arm64" PERCH_MODELS_DEADLINE=10m \
			qemu-aarch64-static -L "$work/root" "$work/root/usr/bin/perch" "$@"
	}
	about alone
	frames arm64 "$work/clip.mp4" alone
	compare
	echo "LEFT OUT: installing, upgrading and purging the package, and the service: $why"
fi
stage "done"
[ "$failed" = 0 ] || { echo "some failed"; exit 1; }
