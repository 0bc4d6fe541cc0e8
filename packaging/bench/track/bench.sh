#!/bin/sh
# Prints how well Perch's tracker follows the people of PETS09-S2L1, beside the
# paper's method written independently, on the same detections.
#
#   PERCH_TEST_DATA=... packaging/bench/track/bench.sh [detections.jsonl]
#
# PERCH_TEST_DATA is the folder with truth/PETS09-S2L1/gt/gt.txt. Without a file
# of detections the sample clip (PERCH_TEST_CLIP) goes through the default model
# once; that needs bin/perch and ONNX Runtime (PERCH_ORT_LIB).
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
gt=${PERCH_TEST_DATA:?is the folder with truth/PETS09-S2L1}/truth/PETS09-S2L1/gt/gt.txt
[ -r "$gt" ] || { echo "bench: cannot read $gt" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
detections=${1:-$work/detections.jsonl}
if [ $# -eq 0 ]; then
	clip=${PERCH_TEST_CLIP:?is the sample clip, or give a file of detections}
	PERCH_MODELS_ONNXRUNTIME=${PERCH_ORT_LIB:?is the library of ONNX Runtime} "$root/bin/perch" process \
		--data-dir "$work/data" --json --confidence 0.1 --classes person "$clip" >"$work/run.json" 2>"$work/log" ||
		{ cat "$work/log" >&2; exit 1; }
	run=$(sed -n 's/.*"run_id":"\([^"]*\)".*/\1/p' "$work/run.json")
	"$root/bin/perch" export --data-dir "$work/data" --format jsonl --out "$detections" "$run"
fi
here=$root/packaging/bench/track
(cd "$root" && go build -o "$work/ours" ./packaging/bench/track/ours)
set --
for setting in block paper; do
	"$work/ours" -settings "$here/settings.json" -setting $setting <"$detections" >"$work/ours-$setting.jsonl"
	node "$here/bytetrack.mjs" "$detections" $setting >"$work/reference-$setting.jsonl"
	set -- "$@" "perch, $setting=$work/ours-$setting.jsonl" "reference, $setting=$work/reference-$setting.jsonl" \
		--filtered "reference, $setting, filtered box=$work/reference-$setting.jsonl"
done
# Half of the frames dropped at random, with their times and as if none were
# missing: what prediction over the gaps is worth.
node "$here/dropped.mjs" 0.5 <"$detections" >"$work/half.jsonl"
for clock in stream none; do
	"$work/ours" -settings "$here/settings.json" -setting paper -clock $clock <"$work/half.jsonl" >"$work/half-$clock.jsonl"
done
node "$here/clear.mjs" "$gt" "$@" \
	--present "perch, paper, half dropped=$work/half-stream.jsonl" \
	--present "the same, gaps not told=$work/half-none.jsonl"
for setting in block paper; do
	node "$here/same.mjs" "$work/ours-$setting.jsonl" "$work/reference-$setting.jsonl" "$setting"
done
