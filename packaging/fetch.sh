#!/bin/sh
# Fetches what is too large or not ours to commit, through package clients, and
# checks it against pinned sums:
#   ort    ONNX Runtime's shared library      (npm, MIT)
#   clip   the sample clip, and as H.264      (Debian's opencv-doc; footage of PETS 2009)
#   sdk    the browser client of Roboflow     (npm, ISC; for tests, which run it unchanged)
# Everything lands in ~/.cache/perch (see XDG_CACHE_HOME) and is fetched once.
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/perch
ort_version=1.24.3
ort_sha512='JH7+czbc8ALA819vlTgcV+Q214/+VjGeBHDjX81+ZCD0PCVCIFGFNtT0V4sXG/1JXypKPgScQcB3ij/hk3YnTg=='
sdk_version=0.1.13
sdk_sha512='HnG3cToQvA+0QN43wUc+ZN285zeonWAvhVITQxioM5D0DkolZz00d/WOOk31ac7KKVUVrAKpbXo5fy5JGZRmRQ=='
clip_sha256=45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf

case $(uname -m) in
x86_64) arch=x64 ;;
aarch64) arch=arm64 ;;
*) echo "fetch.sh: no ONNX Runtime build is known for $(uname -m)" >&2; exit 65 ;;
esac
mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

# npm_pack PACKAGE VERSION SHA512 FILE: a package of npm, whose sum is checked
npm_pack() {
	(cd "$work" && npm pack --silent "$1@$2" >/dev/null)
	got=$(openssl dgst -sha512 -binary "$work/$4" | openssl base64 -A)
	[ "$got" = "$3" ] || { echo "fetch.sh: $1 $2 has sha512 $got, expected $3" >&2; exit 65; }
}

fetch_ort() {
	dir=$cache/onnxruntime-$ort_version
	[ -f "$dir/libonnxruntime.so.1" ] && return
	echo "fetching ONNX Runtime $ort_version (86 MB)"
	npm_pack onnxruntime-node "$ort_version" "$ort_sha512" "onnxruntime-node-$ort_version.tgz"
	tar -xzf "$work/onnxruntime-node-$ort_version.tgz" -C "$work" "package/bin/napi-v6/linux/$arch"
	mkdir -p "$dir"
	mv "$work/package/bin/napi-v6/linux/$arch/libonnxruntime.so.1" "$dir/"
	# A program that is run by hand looks for the library here.
	ln -sfn "onnxruntime-$ort_version/libonnxruntime.so.1" "$cache/libonnxruntime.so.1"
}

fetch_sdk() {
	dir=$cache/inference-sdk-$sdk_version
	[ -f "$dir/index.es.js" ] && return
	echo "fetching @roboflow/inference-sdk $sdk_version"
	npm_pack @roboflow/inference-sdk "$sdk_version" "$sdk_sha512" "roboflow-inference-sdk-$sdk_version.tgz"
	tar -xzf "$work/roboflow-inference-sdk-$sdk_version.tgz" -C "$work" package/dist/index.es.js
	mkdir -p "$dir"
	mv "$work/package/dist/index.es.js" "$dir/"
}

fetch_clip() {
	dir=$cache/clips
	if [ ! -f "$dir/vtest.avi" ]; then
		echo "fetching the sample clip (Debian package opencv-doc)"
		(cd "$work" && apt-get download -q opencv-doc >/dev/null 2>&1) || { echo "fetch.sh: apt-get download opencv-doc failed; try: sudo apt-get update" >&2; exit 69; }
		dpkg -x "$work"/opencv-doc_*.deb "$work/doc"
		found=$(find "$work/doc" -name 'vtest.avi*' | head -n 1)
		case $found in
		*.gz) gunzip "$found"; found=${found%.gz} ;;
		"") echo "fetch.sh: this opencv-doc has no vtest.avi" >&2; exit 65 ;;
		esac
		echo "$clip_sha256  $found" | sha256sum -c --quiet - || exit 65
		mkdir -p "$dir"
		mv "$found" "$dir/vtest.avi"
	fi
	[ -f "$dir/sample.mp4" ] && return
	# Cameras send H.264; so does the sample.
	echo "turning the clip into H.264"
	gst-launch-1.0 -q filesrc location="$dir/vtest.avi" ! decodebin ! videoconvert ! \
		x264enc speed-preset=medium bitrate=1500 key-int-max=20 ! h264parse ! mp4mux ! filesink location="$work/sample.mp4"
	mv "$work/sample.mp4" "$dir/sample.mp4"
}

for what in "${@:-all}"; do
	case $what in
	ort) fetch_ort ;;
	clip) fetch_clip ;;
	sdk) fetch_sdk ;;
	all) fetch_ort; fetch_clip; fetch_sdk ;;
	*) echo "fetch.sh: unknown thing '$what' (ort, clip, sdk)" >&2; exit 64 ;;
	esac
done
