#!/bin/sh
# Creates the user of the images and the folders. The user owns only the data folder.
set -eu

groupadd --gid 10001 faceline
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin faceline
install -d -o 10001 -g 10001 -m 0700 /var/lib/faceline
# Mount points for keys and settings, and for models that are not in the image.
install -d /run/faceline /usr/share/faceline/models
