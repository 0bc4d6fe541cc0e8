#!/bin/sh
# Fetches ONNX Runtime's CPU library for an architecture that need not be this
# machine's, and prints where it is. Version and sum are those of fetch.sh.
#   packaging/ort.sh amd64|arm64
set -eu
here=$(dirname "$(realpath "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/perch
case ${1:-} in
amd64 | arm64) ;;
*) echo "usage: ort.sh amd64|arm64" >&2; exit 64 ;;
esac
eval "$(grep -E '^ort_(version|sha512)=' "$here/fetch.sh")"
: "${ort_version:?fetch.sh names no version}" "${ort_sha512:?fetch.sh names no sum}"
dir=$cache/onnxruntime-$ort_version-$1
if [ ! -f "$dir/libonnxruntime.so.1" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	echo "fetching ONNX Runtime $ort_version (86 MB)" >&2
	(cd "$work" && npm pack --silent "onnxruntime-node@$ort_version" >/dev/null)
	tgz=$work/onnxruntime-node-$ort_version.tgz
	got=$(openssl dgst -sha512 -binary "$tgz" | openssl base64 -A)
	[ "$got" = "$ort_sha512" ] || { echo "ort.sh: onnxruntime-node $ort_version has sha512 $got, expected $ort_sha512" >&2; exit 65; }
	for both in amd64:x64 arm64:arm64; do
		to=$cache/onnxruntime-$ort_version-${both%:*}
		mkdir -p "$to"
		tar -xzf "$tgz" -C "$work" "package/bin/napi-v6/linux/${both#*:}/libonnxruntime.so.1"
		mv "$work/package/bin/napi-v6/linux/${both#*:}/libonnxruntime.so.1" "$to/"
	done
fi
echo "$dir/libonnxruntime.so.1"
