#!/bin/bash
# The tests of the packages that make deb has written: what lintian and
# systemd-analyze say, whether a second build gives the same bytes, source.sh and
# deb-test.sh.
#   packaging/test/run.sh DIR CACHE CLIP
set -euo pipefail
dir=${1:?usage: run.sh DIR CACHE CLIP} cache=${2:?} sample=${3:?}
here=$(dirname "$(realpath "$0")")
top=$(realpath "$here/../..")
[ "$(id -u)" = 0 ] || { echo "run.sh: needs root, to boot a container" >&2; exit 77; }
mkdir -p "$cache"
work=$(mktemp -d "$cache/run.XXXXXX")
trap 'rm -rf "$work"' EXIT

"$here/lint.sh" "$dir"

# The points that are left are explained in packaging/README.md.
exposure=$(systemd-analyze security --offline=true --threshold=25 --no-pager "$top/systemd/perch.service" | tail -n 1) ||
	{ echo "exposure is above 2.5: $exposure" >&2; exit 1; }
echo "$exposure"

"$here/same.sh" "$dir" "$cache"
"$here/source.sh" "$cache"

gst-launch-1.0 -q filesrc location="$sample" ! qtdemux ! h264parse ! avdec_h264 ! identity eos-after=40 ! \
	x264enc key-int-max=20 ! h264parse ! mp4mux ! filesink location="$work/clip.mp4"
"$here/root.sh" "$cache/root"
"$here/deb-test.sh" "$("$here/../newest.sh" "$dir" amd64)" "$cache/root" "$work/clip.mp4"
