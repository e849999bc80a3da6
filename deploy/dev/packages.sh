#!/bin/sh
# Installs the Debian packages that `make` needs: `packages.sh build`, `packages.sh test`, `packages.sh images`,
# `packages.sh chaos`.
# It installs only packages whose programs are missing. Without root and sudo it prints the names of the packages.
set -eu

# Pairs of a program and the package that has it.
case "$1" in
# ffmpeg decodes videos for `make run`; curl fetches the models of the profile `strong`.
build) wanted='cc:gcc c++:g++ cmake:cmake nasm:nasm ffmpeg:ffmpeg curl:curl' ;;
test) wanted='rabbitmqctl:rabbitmq-server redis-server:redis-server chromium:chromium haproxy:haproxy systemd-analyze:systemd
    promtool:prometheus' ;;
images) wanted='debootstrap:debootstrap unshare:util-linux setpriv:util-linux nsenter:util-linux strip:binutils' ;;
# The package faketime contains libfaketime, which moves the clocks of programs.
chaos) wanted='faketime:faketime mount:mount' ;;
*) echo "usage: packages.sh build|test|images|chaos" >&2; exit 64 ;;
esac

# Debian installs servers into sbin, which is not in the PATH of ordinary users.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing=''
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=''
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root='sudo'
else
    echo "faceline: these Debian packages are missing; install them as root:" >&2
    echo "    apt-get install$missing" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "faceline: this is not Debian; install the counterparts of these Debian packages:$missing" >&2
    exit 1
fi

echo "installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# Tests start servers themselves. policy-rc.d with exit code 101 keeps Debian from starting the services of new packages.
policy=/usr/sbin/policy-rc.d
if [ -e "$policy" ]; then
    trap 'rm -f "$log"' EXIT
else
    trap 'rm -f "$log"; $as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod +x "$policy"
fi
# shellcheck disable=SC2086 # the list is split on purpose
if ! { $as_root apt-get update && $as_root apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "faceline: apt-get could not install:$missing" >&2
    exit 1
fi
