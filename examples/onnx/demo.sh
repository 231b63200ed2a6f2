#!/bin/sh
# An ONNX model on a board: convert, check. Needs the extra onnx (or `edgeq doctor --install onnx` for the conversion).
set -eu
out=${1:-demo-output}
here=$(dirname "$0")

say() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
    "$@"
}

mkdir -p "$out"
say python "$here/train.py" "$out"
say edgeq convert "$out/digits.onnx" --target nucleo-l4r5zi \
    --representative-data "$out/calibration.npz" -o "$out/digits_int8.tflite"
say edgeq check "$out/digits_int8.tflite" --target nucleo-l4r5zi
say edgeq evaluate "$out/digits_int8.tflite" --data "$out/test.npz:image" --min-accuracy 0.9
