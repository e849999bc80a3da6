#!/bin/sh
# Builds the programs of the images: `build.sh FOLDER`, in the repository. It writes FOLDER/bin, and FOLDER/crates with lists of the
# crates that the programs consist of.
set -eu

out=$1
programs='faceline faceline-gateway faceline-worker faceline-models'

cargo build --locked --profile dist -p faceline -p faceline-gateway -p faceline-worker -p faceline-model-tool
mkdir -p "$out/bin"
for program in $programs; do
    # Backtraces keep function names and lose line numbers, whose debug information is two thirds of a program's size.
    strip --strip-debug -o "$out/bin/$program" "target/dist/$program"
done

# The tool writes a file into the folder of each crate of the workspace.
cargo cyclonedx --format json --spec-version 1.5 --override-filename crates.cdx --quiet \
    --manifest-path deploy/standalone/Cargo.toml
# The list of `faceline` includes all crates of gateway and worker.
mkdir -p "$out/crates"
mv deploy/standalone/crates.cdx.json "$out/crates/faceline.cdx.json"
mv deploy/model-tool/crates.cdx.json "$out/crates/faceline-models.cdx.json"
