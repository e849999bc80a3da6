#!/bin/sh
# Writes the bill of materials of each image: `sboms.sh FOLDER baked|mounted PROFILE`. FOLDER contains the folder `crates`, dpkg's
# status files, the manifest and the list of packages for CUDA.
set -eu

cd "$1"
profile=$3
here=$(dirname "$(readlink -f "$0")")

sbom() {
    image=$1
    shift
    "$here/sbom.py" --name "$image" --profile "$profile" --output "${image#faceline-}.cdx.json" --crates crates/faceline.cdx.json "$@"
}

case "$2" in
baked) models='--models manifest.toml' ;;
mounted) models='' ;;
*) echo "sboms.sh: MODELS must be baked or mounted" >&2; exit 64 ;;
esac

sbom faceline-gateway --packages base.status
tool=crates/faceline-models.cdx.json
# shellcheck disable=SC2086 # none or two words
sbom faceline-worker --crates $tool --packages worker.status $models
# shellcheck disable=SC2086 # the same
sbom faceline-standalone --crates $tool --packages worker.status $models
sbom faceline-worker-cuda --crates $tool --packages worker.status --models manifest.toml --runtime cuda-packages.txt
