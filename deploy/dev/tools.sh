#!/bin/sh
# Installs the tools of `make lint` into the folder given, once: `tools.sh FOLDER`.
set -eu

folder=$1
deny=0.20.2
machete=0.9.2
typos=1.52.0

cargo_tool() {
    stamp="$folder/.$1-$2"
    [ -f "$stamp" ] && return
    echo "installing $1 $2"
    cargo install --quiet --locked --root "$folder" --version "$2" "$1"
    touch "$stamp"
}

mkdir -p "$folder"
cargo_tool cargo-deny "$deny"
cargo_tool cargo-machete "$machete"

stamp="$folder/.typos-$typos"
if [ ! -f "$stamp" ]; then
    echo "installing typos $typos"
    python3 -m pip install --quiet --root-user-action=ignore --target "$folder/typos" --upgrade "typos==$typos"
    touch "$stamp"
fi
