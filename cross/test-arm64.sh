#!/bin/bash
# Runs what is in an arm64 package on this amd64 machine: unpacked into an arm64
# system, with every instruction emulated (qemu-user). The results of a few frames
# have to be those of the amd64 program.
#   cross/test-arm64.sh ARM64_PACKAGE AMD64_PROGRAM AMD64_ORT_LIBRARY CLIP
# CLIP is an H.264 file in MP4.
set -euo pipefail
package=$(realpath "${1:?usage: test-arm64.sh ARM64_PACKAGE AMD64_PROGRAM AMD64_ORT_LIBRARY CLIP}")
native=$(realpath "${2:?}") ort=$(realpath "${3:?}") clip=$(realpath "${4:?}")
here=$(dirname "$(realpath "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/perch/cross
command -v qemu-aarch64-static >/dev/null || { echo "test-arm64.sh: apt-get install qemu-user-static" >&2; exit 69; }

"$here/runroot.sh" "$cache/runroot-arm64"
work=$(mktemp -d "$cache/test.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -al "$cache/runroot-arm64" "$work/root"
dpkg-deb -x "$package" "$work/root"

# The plugin scanner is an arm64 program, which this machine does not start by itself.
export GST_REGISTRY_FORK=no GST_REGISTRY=$work/registry.bin HOME=$work
arm64() { qemu-aarch64-static -L "$work/root" "$work/root/usr/bin/perch" "$@"; }
failed=0
ok() { echo "ok    $1"; }
bad() {
	echo "FAIL  $1"
	failed=1
}

arm64 version >"$work/version"
if grep -q 'linux/arm64' "$work/version"; then ok "version: $(head -n 1 "$work/version")"; else bad "version: $(cat "$work/version")"; fi

mkdir "$work/arm64" "$work/amd64"
arm64 doctor --json --data-dir "$work/arm64" >"$work/doctor.json" 2>"$work/doctor.err" || true
has() { # WHAT: is in the doctor's report, which has one key a line
	if grep -qF "$1" "$work/doctor.json"; then ok "doctor: $1"; else
		bad "doctor has no $1"
		cat "$work/doctor.err"
	fi
}
has '"worst": "warning"' # neither GPU nor clock here, and nothing missing
has '/usr/lib/perch/libonnxruntime.so.1'
has '"found": "avdec_h264"'
has '"name": "model nanodet-416"'

# A frame takes 16 seconds.
gst-launch-1.0 -q filesrc location="$clip" ! qtdemux ! h264parse ! avdec_h264 ! identity eos-after=3 ! \
	x264enc speed-preset=medium bitrate=1500 ! h264parse ! mp4mux ! filesink location="$work/few.mp4"
frames() { # KIND COMMAND...: one line a frame, without the time at which it was processed
	local kind=$1 run
	shift
	"$@" process --json --data-dir "$work/$kind" "$work/few.mp4" >"$work/$kind.json" 2>"$work/$kind.err" ||
		{ cat "$work/$kind.json" "$work/$kind.err" >&2; return 1; }
	run=$(sed 's/.*"run_id":"\([^"]*\)".*/\1/' "$work/$kind.json")
	"$@" export --format jsonl --data-dir "$work/$kind" "$run" 2>/dev/null | sed 's/"time":"[^"]*",//' >"$work/$kind.frames"
}
GST_REGISTRY=$work/native.bin PERCH_MODELS_ONNXRUNTIME=$ort frames amd64 "$native"
frames arm64 arm64
if grep -q '"termination_reason":"end_of_stream"' "$work/arm64.json"; then ok "process: a record, end of stream"; else bad "process: $(cat "$work/arm64.json")"; fi

# Perch gives a frame 30 seconds, which the emulator may exceed on a busy machine:
# such a frame is in the record as an error and not in the comparison.
compared=0
while read -r line; do
	compared=$((compared + 1))
	grep -qxF "$line" "$work/amd64.frames" || bad "differs from amd64: $line"
done <"$work/arm64.frames"
things=$(grep -o '"label"' "$work/arm64.frames" | wc -l)
if [ "$compared" -ge 2 ] && [ "$things" -gt 0 ]; then
	ok "process: $compared of $(wc -l <"$work/amd64.frames") frames, $things detections, as on amd64 to the last digit"
else
	bad "process: only $compared frames and $things detections to compare: $(cat "$work/arm64.json")"
fi
exit $failed
