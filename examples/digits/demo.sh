#!/bin/sh
# From training to a profiled run on a virtual board, one command at a time.
set -eu
out=${1:-demo-output}
here=$(dirname "$0")

say() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
    "$@"
}

mkdir -p "$out"
# TensorFlow's own start-up messages go to a file that is shown only when training fails.
say python "$here/train.py" "$out" 2>"$out/train.log" || { cat "$out/train.log" >&2; exit 1; }
say edgeq convert "$out/digits.keras" --target nucleo-l4r5zi \
    --representative-data "$out/calibration.npz" -o "$out/digits_int8.tflite"
say edgeq check "$out/digits_int8.tflite" --target nucleo-l4r5zi
say edgeq build "$out/digits_int8.tflite" --target nucleo-l4r5zi -o "$out/build"
say edgeq flash "$out/build" --target nucleo-l4r5zi --sim
say edgeq profile "$out/digits_int8.tflite" --target nucleo-l4r5zi --sim --firmware "$out/build" \
    --data "$out/test.npz:image" -o "$out/report.json"
printf '\nreport: %s\n' "$out/report.json"
