# shellcheck shell=bash
# Read by test-arm64.sh and its parts: how they report, and what they ask of the
# program however it is run. What they write lands in $work.
# shellcheck disable=SC2034,SC2154 # failed and work are the reader's

failed=0
export TEST_BEGAN=${TEST_BEGAN:-$EPOCHSECONDS}
stage() { printf '== %s, after %d s\n' "$1" $((EPOCHSECONDS - TEST_BEGAN)); }
ok() { printf 'ok    %s\n' "$1"; }
bad() {
	printf 'FAIL  %s\n' "$1"
	failed=1
}
# What nobody expected to fail ends the script, and should not do so silently.
trap 'bad "$0 ended at line $LINENO: $BASH_COMMAND"' ERR
# same WHAT WANT GOT
same() { if [ "$2" = "$3" ]; then ok "$1: $3"; else bad "$1: $3, wanted $2"; fi; }
# check WHAT COMMAND...: the command has to succeed.
check() {
	local what=$1
	shift
	if "$@" >"$work/out" 2>&1; then ok "$what"; else
		bad "$what"
		sed 's/^/      /' "$work/out"
	fi
}

# about COMMAND...: what the program, which COMMAND runs, says of itself and its system.
about() {
	"$@" version >"$work/version"
	if grep -q 'linux/arm64' "$work/version"; then ok "version: $(head -n 1 "$work/version")"; else bad "version: $(cat "$work/version")"; fi
	"$@" doctor --json >"$work/doctor.json" 2>"$work/doctor.err" || true
	local want
	# Neither GPU nor clock here, and nothing missing.
	for want in '"worst": "warning"' /usr/lib/perch/libonnxruntime.so.1 '"found": "avdec_h264"' '"name": "model nanodet-416"'; do
		if grep -qF "$want" "$work/doctor.json"; then ok "doctor: $want"; else
			bad "doctor has no $want"
			cat "$work/doctor.json" "$work/doctor.err"
		fi
	done
}

# results KIND COMMAND...: the frames in the database of the run whose record is
# KIND.json, a line each, without the time at which it was processed.
results() {
	local kind=$1 run
	shift
	run=$(sed 's/.*"run_id":"\([^"]*\)".*/\1/' "$work/$kind.json")
	"$@" export --format jsonl "$run" 2>/dev/null | sed 's/"time":"[^"]*",//'
}

# frames KIND FILE COMMAND...: processes FILE into KIND.json and KIND.frames.
frames() {
	local kind=$1 file=$2
	shift 2
	"$@" process --json --max-fps "$MAX_FPS" "$file" >"$work/$kind.json" 2>"$work/$kind.err" || { cat "$work/$kind.json" "$work/$kind.err" >&2; return 1; }
	results "$kind" "$@" >"$work/$kind.frames"
}

# What a record counted; the rest of it are names and times.
counted() { grep -oE '"frames":\{.*\},"detections":\{[^}]*\}' "$work/$1.json"; }
ending() { grep -oE '"termination_reason":.*\]' "$work/$1.json"; }

# What was seen: frames, labels, classes, tracks; and the figures of it, one a line.
seen() { sed -E 's/"score":[^,}]*/"score":/g; s/"box":\[[^]]*\]/"box":/g' "$work/$1.frames"; }
figures() {
	grep -oE '"score":[^,}]*|"box":\[[^]]*\]' "$work/$1.frames" |
		sed -E 's/"score":(.*)/score \1/; s/"box":\[(.*),(.*),(.*),(.*)\]/box \1\nbox \2\nbox \3\nbox \4/'
}

# compare: what was seen has to be the same in all frames. Another processor adds and
# rounds in another order, so that a score may differ by 0.001, and a box, which is
# kept in eighths, by 0.25 pixels.
compare() {
	local lines things
	same "process: counts" "$(counted amd64)" "$(counted arm64)"
	same "process: the end" "$(ending amd64)" "$(ending arm64)"
	lines=$(wc -l <"$work/arm64.frames")
	things=$(grep -o '"label"' "$work/arm64.frames" | wc -l || true)
	seen amd64 >"$work/amd64.seen"
	seen arm64 >"$work/arm64.seen"
	if cmp "$work/amd64.seen" "$work/arm64.seen" && [ "$lines" -ge 3 ] && [ "$things" -gt 0 ]; then
		ok "process: $lines frames with $things detections: labels and tracks as on amd64"
		check "process: scores and boxes as on amd64" differences
		tail -n 1 "$work/out"
	else
		bad "process: $lines frames with $things detections: not as on amd64, or too few"
		diff "$work/amd64.frames" "$work/arm64.frames" | head -n 6 | cut -c1-600 || true
	fi
}
differences() {
	paste -d ' ' <(figures amd64) <(figures arm64) | awk '
		BEGIN { allowed["score"] = 0.001; allowed["box"] = 0.25 }
		{
			off = $2 > $4 ? $2 - $4 : $4 - $2
			if ($1 != $3 || NF != 4) { print "not the same figures: " $0; bad = 1 }
			if (off > 0) differ[$1]++
			if (off > most[$1]) most[$1] = off
		}
		END {
			if (NR == 0) bad = 1
			for (k in allowed) if (most[k] > allowed[k]) bad = 1
			printf "      of %d figures: %d scores differ, by %g at most; %d sides of boxes, by %g pixels\n",
				NR, differ["score"], most["score"], differ["box"], most["box"]
			exit bad
		}'
}
