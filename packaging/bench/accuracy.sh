#!/bin/sh
# The accuracy part of make bench: what Perch finds with the default model
# against a reference that shares nothing with it but the weights, and against
# ground truth.
#
#   packaging/bench/accuracy.sh PERCH
#
#   PERCH_TEST_DATA  folder with voc50 (images, annotations) and truth/PETS09-S2L1
#   PERCH_TEST_CLIP  the sample clip
#   PERCH_ORT_LIB    ONNX Runtime's library
#   PERCH_CACHE      where packages are installed (default: ~/.cache/perch)
set -eu
bin=$(realpath "${1:?usage: accuracy.sh PERCH}")
# Perch refuses variables of its name that it does not know.
perch() {
	env -u PERCH_TEST_DATA -u PERCH_TEST_CLIP -u PERCH_ORT_LIB -u PERCH_CACHE \
		${PERCH_ORT_LIB:+PERCH_MODELS_ONNXRUNTIME="$PERCH_ORT_LIB"} "$bin" "$@"
}
here=$(dirname "$(realpath "$0")")
model=$here/../models/nanodet-416
cache=${PERCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/perch}

if [ -z "${PERCH_TEST_DATA:-}" ] || [ ! -d "$PERCH_TEST_DATA/voc50/images" ]; then
	echo "accuracy: left out; PERCH_TEST_DATA does not name a folder with voc50"
	exit 0
fi
command -v node >/dev/null 2>&1 || { echo "accuracy.sh: node is not installed; try: sudo apt-get install nodejs" >&2; exit 69; }

# Exact versions with their checksums are in package-lock.json. Nothing of the
# packages' own scripts is run: one of them would download.
packages=$cache/bench-$(sha256sum "$here/package-lock.json" | cut -c 1-16)
if [ ! -d "$packages/node_modules" ]; then
	mkdir -p "$packages"
	cp "$here/package.json" "$here/package-lock.json" "$packages/"
	(cd "$packages" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || { rm -rf "$packages"; exit 69; }
fi
export NODE_MODULES="$packages/node_modules"
node --test --test-reporter=dot "$here" >/dev/null || { node --test "$here"; exit 70; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
images=$PERCH_TEST_DATA/voc50/images
truth=$PERCH_TEST_DATA/voc50/annotations
failed=0

# The planes that Perch gets. Its JPEG decoder is GStreamer's; what is compared
# is what comes after it (see reference.mjs).
mkdir "$work/planes"
for image in "$images"/*.jpg; do
	gst-launch-1.0 -q filesrc location="$image" ! jpegdec idct-method=islow ! video/x-raw,format=I420 ! \
		filesink location="$work/planes/$(basename "$image").i420"
done
perch model test --json --confidence 0.01 "$images"/*.jpg >"$work/perch.jsonl"
RAW=$work/planes node "$here/reference.mjs" "$model" "$images" >"$work/reference.jsonl"
node "$here/reference.mjs" "$model" "$images" >"$work/decoder.jsonl"

echo "Boxes of Perch and of onnxruntime-node on the same pixels:"
node "$here/compare.mjs" "$work/perch.jsonl" "$work/reference.jsonl" || failed=1
echo "For scale, onnxruntime-node on pixels of two JPEG decoders (jpegdec and jpeg-js):"
node "$here/compare.mjs" "$work/decoder.jsonl" "$work/reference.jsonl" 2>/dev/null | head -n 1 || true
node "$here/ap50.mjs" voc "$truth" "$work/reference.jsonl" "VOC, onnxruntime-node"
node "$here/ap50.mjs" voc "$truth" "$work/perch.jsonl" "VOC, Perch" "$work/reference.jsonl" || failed=1
echo "  (measured when the model was converted: 70.7 on 100 images of VOC)"

gt=$PERCH_TEST_DATA/truth/PETS09-S2L1/gt/gt.txt
if [ -f "${PERCH_TEST_CLIP:-}" ] && [ -f "$gt" ]; then
	perch process --data-dir "$work/data" --json --keep every --confidence 0.01 --classes person "$PERCH_TEST_CLIP" >"$work/record.json" 2>"$work/process.log" ||
		{ cat "$work/process.log" >&2; exit 70; }
	run=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).run_id' "$work/record.json")
	perch export --data-dir "$work/data" --format jsonl "$run" >"$work/clip.jsonl"
	node "$here/ap50.mjs" mot "$gt" "$work/clip.jsonl" "people on the sample clip, Perch" 91.7 || failed=1
else
	echo "people on the sample clip: left out; PERCH_TEST_CLIP or its ground truth is not there"
fi
exit $failed
