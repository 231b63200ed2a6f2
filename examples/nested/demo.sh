#!/bin/sh
# One model, three precisions: 8-bit weights whose highest 4 and 2 bits are weights of their own.
set -eu
out=${1:-nested-output}
here=$(dirname "$0")

say() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
    "$@"
}

mkdir -p "$out"
# TensorFlow's own start-up messages go to a file that is shown only when training fails.
say python "$here/../digits/train.py" "$out" 2>"$out/train.log" || { cat "$out/train.log" >&2; exit 1; }
say edgeq convert "$out/digits.keras" --target nucleo-l4r5zi --representative-data "$out/calibration.npz" \
    --labels y --nested 8,4,2 -o "$out/digits_nested.tflite"
# Every precision on the virtual board, from one firmware: outputs equal, and what each costs.
say edgeq profile "$out/digits_nested.tflite" --target nucleo-l4r5zi --sim --precision all \
    --data "$out/test.npz:image" --samples 5 -o "$out/precisions.json"
# One precision alone, where half of the flash matters more than the choice.
say edgeq extract "$out/digits_nested.tflite" --precision 4 -o "$out/digits_4bit.tflite"
say edgeq build "$out/digits_4bit.tflite" --target nucleo-l4r5zi -o "$out/build-4bit"
# The choice for each inference, by the application: see cascade.c.
say edgeq build "$out/digits_nested.tflite" --target nucleo-l4r5zi -o "$out/build"
say python "$here/cascade.py" "$out"
