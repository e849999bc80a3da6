#!/bin/sh
# Makes the secrets of the installation in compose.yaml, in the folder `secrets` beside this script (or in FOLDER):
# sealing and signing keys, the first API key, and the passwords of RabbitMQ, Redis, Garage and Grafana. It keeps files that exist.
#
#   sudo ./secrets.sh [FOLDER]
#
# `faceline-gateway` makes the keys: the program at the path FACELINE_PROGRAM, or else the one in the image.
set -eu
umask 077

here=$(dirname "$(readlink -f "$0")")
folder=${1:-$here/secrets}
# The user of the images, or the one as which compose.override.yaml lets them run.
user=${FACELINE_USER:-10001}

if [ "$(id -u)" != 0 ] && [ "$(id -u)" != "$user" ]; then
    echo "secrets.sh: run it as root: the files must belong to user $user, and their folder to root" >&2
    exit 1
fi

random() {
    od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

# Writes standard input to the file $1 with the mode $2, unless the file exists.
new_file() {
    [ -e "$1" ] && return
    cat >"$1.new"
    chmod "$2" "$1.new"
    mv "$1.new" "$1"
}

# Only its owner can enter the folder, so files in it can be readable by all: containers read them through mounts, as other users.
mkdir -p "$folder"
chmod 0700 "$folder"
install -d -m 0700 "$folder/shared" "$folder/gateway"

if [ ! -e "$folder/shared/faceline.toml" ]; then
    rabbitmq=$(random 24)
    redis=$(random 24)
    access=GK$(random 12)
    secret=$(random 32)
    # faceline.toml is written last: its existence marks the set as complete, and a run that was interrupted starts again.
    rm -f "$folder/rabbitmq.conf" "$folder/redis.conf" "$folder/objects.env"
    new_file "$folder/rabbitmq.conf" 0444 <<END
default_user = faceline
default_pass = $rabbitmq
END
    new_file "$folder/redis.conf" 0444 <<END
include /etc/redis/faceline.conf
requirepass $redis
END
    new_file "$folder/objects.env" 0400 <<END
GARAGE_RPC_SECRET=$(random 32)
GARAGE_DEFAULT_BUCKET=faceline
GARAGE_DEFAULT_ACCESS_KEY=$access
GARAGE_DEFAULT_SECRET_KEY=$secret
END
    new_file "$folder/shared/faceline.toml" 0400 <<END
# Settings that contain passwords. The others are in compose.yaml.
[broker]
url = "amqp://faceline:$rabbitmq@rabbitmq"

[store]
url = "redis://:$redis@redis:6379/0"

[objects]
url = "s3://faceline/objects"
endpoint = "http://objects:3900"
region = "garage"
access_key_id = "$access"
secret_access_key = "$secret"
END
fi
random 24 | new_file "$folder/grafana" 0444

set_owner() {
    [ "$(id -u)" = "$user" ] || chown -R "$user:$user" "$folder/shared" "$folder/gateway"
}
set_owner

gateway() {
    if [ -n "${FACELINE_PROGRAM:-}" ]; then
        "$FACELINE_PROGRAM" "$@" --set data_dir="$folder/gateway" --set keys.file="$folder/shared/keys.toml" \
            --set signing.file="$folder/gateway/signing.toml" --set replay.keys_file="$folder/gateway/replay.toml" \
            --set accounts.file="$folder/gateway/accounts.toml"
    else
        docker compose --file "$here/compose.yaml" run --rm --no-deps --no-TTY admin "$@"
    fi
}

[ -e "$folder/shared/keys.toml" ] || gateway sealing create >/dev/null
[ -e "$folder/gateway/signing.toml" ] || gateway signing rotate --now >/dev/null
[ -e "$folder/gateway/replay.toml" ] || gateway replay-keys rotate --now >/dev/null
if [ ! -e "$folder/gateway/accounts.toml" ]; then
    # Prints the API key, which cannot be shown again.
    gateway keys add --client first --permissions faces:create,match,ages:create,sessions:create,sessions:read,sessions:delete
fi
set_owner
