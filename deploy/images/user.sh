#!/bin/sh
# Makes the user of the images, and its folders. The user owns nothing but the data folder.
set -eu

groupadd --gid 10001 faceline
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin faceline
install -d -o 10001 -g 10001 -m 0700 /var/lib/faceline
# Mount points: of keys and settings, and of models that are not baked in.
install -d /run/faceline /usr/share/faceline/models
