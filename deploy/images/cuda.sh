#!/bin/sh
# Installs the models with ONNX Runtime for CUDA: `cuda.sh PROFILE FOLDER`. The libraries of NVIDIA go to FOLDER. `faceline-models`
# and pip must be in PATH; `models.dir` is as the settings say. It lies in one folder with the manifest and the list of packages.
set -eu

profile=$1
folder=$2
here=$(dirname "$(readlink -f "$0")")
models=$FACELINE_MODELS__DIR
# Of onnxruntime/capi/libonnxruntime.so in the package that cuda-packages.txt names.
sum=5104254339ecadae808da771bd0b63b240f0dbd466514234905e54372435c303

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -e '/^\[packages\.onnxruntime\]/,/^$/s/^name = .*/name = "onnxruntime-gpu"/' \
    -e "/^\[runtime\]/,/^\$/s/^sha256 = .*/sha256 = \"$sum\"/" "$here/manifest.toml" >"$work/manifest.toml"
faceline-models fetch --profile "$profile" --manifest "$work/manifest.toml"
faceline-models verify

python3 -m pip install --no-deps --no-cache-dir --only-binary :all: --target "$work/packages" -r "$here/cuda-packages.txt"
# ONNX Runtime looks for its providers beside itself.
runtime=$(dirname "$(find "$models/runtime" -name libonnxruntime.so)")
for provider in shared cuda; do
    install -m 0644 "$work/packages/onnxruntime/capi/libonnxruntime_providers_$provider.so" "$runtime/"
done
mkdir -p "$folder"
find "$work/packages/nvidia" -name '*.so*' -type f -exec mv -t "$folder" {} +

# All but the driver's library, which the machine brings, must be there.
missing=$(LD_LIBRARY_PATH=$folder ldd "$runtime/libonnxruntime_providers_cuda.so" | grep 'not found' | grep -v 'libcuda\.so' || true)
if [ -n "$missing" ]; then
    echo "cuda.sh: libraries are missing:" >&2
    echo "$missing" >&2
    exit 1
fi
