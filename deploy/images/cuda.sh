#!/bin/sh
# Installs the models with ONNX Runtime for CUDA: `cuda.sh PROFILE FOLDER`. It writes the NVIDIA libraries to FOLDER.
# `faceline-models` and pip must be in PATH, FACELINE_MODELS__DIR names the folder of the models, and manifest.toml and
# cuda-packages.txt must be beside this script.
set -eu

profile=$1
folder=$2
here=$(dirname "$(readlink -f "$0")")
models=$FACELINE_MODELS__DIR
# SHA-256 of onnxruntime/capi/libonnxruntime.so in the package onnxruntime-gpu of cuda-packages.txt.
sum=5104254339ecadae808da771bd0b63b240f0dbd466514234905e54372435c303

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -e '/^\[packages\.onnxruntime\]/,/^$/s/^name = .*/name = "onnxruntime-gpu"/' \
    -e "/^\[runtime\]/,/^\$/s/^sha256 = .*/sha256 = \"$sum\"/" "$here/manifest.toml" >"$work/manifest.toml"
faceline-models fetch --profile "$profile" --manifest "$work/manifest.toml"
faceline-models verify

python3 -m pip install --no-deps --no-cache-dir --only-binary :all: --target "$work/packages" -r "$here/cuda-packages.txt"
# ONNX Runtime loads its providers from its own folder.
runtime=$(dirname "$(find "$models/runtime" -name libonnxruntime.so)")
for provider in shared cuda; do
    install -m 0644 "$work/packages/onnxruntime/capi/libonnxruntime_providers_$provider.so" "$runtime/"
done
mkdir -p "$folder"
find "$work/packages/nvidia" -name '*.so*' -type f -exec mv -t "$folder" {} +

# Every library must be found except that of the driver, which the host provides.
missing=$(LD_LIBRARY_PATH=$folder ldd "$runtime/libonnxruntime_providers_cuda.so" | grep 'not found' | grep -v 'libcuda\.so' || true)
if [ -n "$missing" ]; then
    echo "cuda.sh: libraries are missing:" >&2
    echo "$missing" >&2
    exit 1
fi
