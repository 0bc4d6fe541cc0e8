#!/bin/sh
# make bench: prints measured ratios and accuracy, never asserts a time.
#
#   packaging/bench/bench.sh PERCH
#
#   PERCH_TEST_CLIP    the sample clip; its H.264 form lies beside it as sample.mp4
#   PERCH_ORT_LIB      ONNX Runtime's library
#   PERCH_TEST_DATA    folder with labelled pictures; without it accuracy is left out
set -eu
bin=$(realpath "${1:?usage: bench.sh PERCH}")
here=$(dirname "$(realpath "$0")")
sample=$(dirname "$PERCH_TEST_CLIP")/sample.mp4

echo "== speed: perch bench"
# Thirteen passes over the clip's 795 frames are more than 10,000.
PERCH_MODELS_ONNXRUNTIME=$PERCH_ORT_LIB "$bin" bench --rounds 5 --memory-passes 13 "$sample"

echo "== accuracy"
"$here/accuracy.sh" "$bin"

if [ -x "$here/track/bench.sh" ]; then
	echo "== tracking"
	if [ -n "${PERCH_TEST_DATA:-}" ]; then "$here/track/bench.sh"; else echo "tracking: left out; PERCH_TEST_DATA is not set"; fi
fi

echo "== workflows"
echo "Example 1 (line counter with overlay) without its model, on frames of 1080p. Aimed at: below 300,000 ns a frame"
echo "without drawing, 2,000,000 with; no allocation without drawing; 100 people who are followed below 1,000,000."
cd "$here/../.."
told=$(go test ./cmd/internal/blocks -run xxx -bench Example1 -benchtime 2s)
echo "$told" | sed -n 's/^BenchmarkExample1\//example 1, /p'
# The tracker alone, and the line and the zone with it.
told=$(go test ./pipeline/track ./cmd/internal/blocks/tracking -run xxx -bench 'Update|Graph' -benchtime 1s)
echo "$told" | sed -n 's/^Benchmark/tracking, /p'

echo "== sessions"
echo "Results through a session's data channel, beside plain pion with the same bytes; medians of five. Aimed at: 0.9 of plain"
echo "pion, and at 30 results a second 99 of 100 received within 15 ms."
told=$(go test ./pipeline/webrtc -run xxx -bench 'Session$' -benchtime 2s -count 5)
# Sorted by time, the third of five is the median.
echo "$told" | awk 'split($1, part, "/") == 3 { sub(/-[0-9]+$/, "", part[3]); print part[2], part[3], $3 }' | sort -k1,1 -k2,2n -k3,3g | awk '
	++seen[$1, $2] == 3 { ns[$1, $2] = $3 }
	END {
		for (key in ns) {
			split(key, of, SUBSEP)
			if (of[1] != "session") continue
			printf "%s bytes: %.0f results/s, %.1f MB/s, %.2f of plain pion\n", of[2], 1e9 / ns[key], 1e3 * of[2] / ns[key], ns["pion", of[2]] / ns[key]
		}
	}' | sort -n
told=$(go test ./pipeline/webrtc -run xxx -bench 'SessionLatency' -benchtime 300x)
echo "$told" | sed -n 's/^BenchmarkSessionLatency\/\([0-9]*\)-[0-9]*.*ns\/op *\(.*\)/\1 bytes: \2/p' | tr -s '\t ' ' '
