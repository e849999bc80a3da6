#!/bin/sh
# Installs tools into the folder given, once: `tools.sh FOLDER lint|test`.
set -eu

folder=$1
deny=0.20.2
machete=0.9.2
typos=1.52.0
jwcrypto='jwcrypto==1.6.1 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12 typing_extensions==4.16.0'

cargo_tool() {
    stamp="$folder/.$1-$2"
    [ -f "$stamp" ] && return
    echo "installing $1 $2"
    cargo install --quiet --locked --root "$folder" --version "$2" "$1"
    touch "$stamp"
}

# Packages of PyPI in a folder of their own, by their versions: `python_tool NAME PACKAGE==VERSION...`.
python_tool() {
    name=$1
    shift
    stamp="$folder/.$name-$(echo "$*" | cksum | cut -d ' ' -f 1)"
    [ -f "$stamp" ] && return
    echo "installing $1"
    rm -rf "${folder:?}/$name"
    python3 -m pip install --quiet --root-user-action=ignore --no-deps --target "$folder/$name" "$@"
    touch "$stamp"
}

mkdir -p "$folder"
case "$2" in
lint)
    cargo_tool cargo-deny "$deny"
    cargo_tool cargo-machete "$machete"
    python_tool typos "typos==$typos"
    ;;
test)
    # shellcheck disable=SC2086 # the list is split on purpose
    python_tool jwcrypto $jwcrypto
    ;;
*) echo "usage: tools.sh FOLDER lint|test" >&2; exit 64 ;;
esac
