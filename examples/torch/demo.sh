#!/bin/sh
# A PyTorch network on a board: its environment, training, convert, check.
set -eu
out=${1:-demo-output}
here=$(dirname "$0")

say() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
    "$@"
}

mkdir -p "$out"
say edgeq doctor --install torch
edgeq doctor --install torch --json > "$out/doctor.json" # it is there now: this only tells where
torch_python=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["environment"])' "$out/doctor.json")
say python "$here/digits.py" "$out"
say "$torch_python" "$here/train.py" "$out/digits.npz" "$out"
say edgeq convert "$out/digits.pt2" --target nucleo-l4r5zi \
    --representative-data "$out/calibration.npz" -o "$out/digits_int8.tflite"
say edgeq check "$out/digits_int8.tflite" --target nucleo-l4r5zi
say edgeq evaluate "$out/digits_int8.tflite" --data "$out/test.npz:image" --min-accuracy 0.9
