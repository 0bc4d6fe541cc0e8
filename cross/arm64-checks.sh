# shellcheck shell=bash
# Read by test-arm64.sh and its parts: how they report, and what they ask of the
# program however it is run.

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
	# shellcheck disable=SC2086 # options on purpose
	"$@" process --json $PROCESS_OPTIONS "$file" >"$work/$kind.json" 2>"$work/$kind.err" || { cat "$work/$kind.json" "$work/$kind.err" >&2; return 1; }
	results "$kind" "$@" >"$work/$kind.frames"
}

# What a record counted; the rest of it are names and times.
counted() { grep -oE '"frames":\{.*\},"detections":\{[^}]*\}' "$work/$1.json"; }
ending() { grep -oE '"termination_reason":.*\]' "$work/$1.json"; }

# compare: every frame as on amd64, and all of them.
compare() {
	local things
	same "process: counts" "$(counted amd64)" "$(counted arm64)"
	same "process: the end" "$(ending amd64)" "$(ending arm64)"
	things=$(grep -o '"label"' "$work/arm64.frames" | wc -l)
	if cmp "$work/amd64.frames" "$work/arm64.frames" && [ "$(wc -l <"$work/arm64.frames")" -ge "$LEAST_FRAMES" ] && [ "$things" -gt 0 ]; then
		ok "process: $(wc -l <"$work/arm64.frames") frames with $things detections, as on amd64 to the last digit"
	else
		bad "process: differs from amd64, or has less than $LEAST_FRAMES frames"
		diff "$work/amd64.frames" "$work/arm64.frames" | head -n 6 | cut -c1-600 || true
	fi
}
