#!/bin/sh
# Installs the Debian packages of a stage of the Dockerfile: `install.sh build|fetch|base|worker|sbom`.
set -eu

case "$1" in
# The compilers of aws-lc, libjpeg-turbo and jemalloc. The base image has the one for C, and Rust.
build) packages='g++ cmake nasm make' ;;
# The registries' clients that `faceline-models fetch` calls; the library is ONNX Runtime's, with which it checks conversions.
fetch) packages='ca-certificates curl npm python3-pip libstdc++6' ;;
# Authorities for TLS to RabbitMQ, Redis, S3 and receivers of callbacks.
base) packages='ca-certificates' ;;
# ffmpeg decodes videos, ONNX Runtime is written in C++.
worker) packages='ffmpeg libstdc++6' ;;
sbom) packages='python3-minimal libpython3-stdlib' ;;
*) echo "usage: install.sh build|fetch|base|worker|sbom" >&2; exit 64 ;;
esac

export DEBIAN_FRONTEND=noninteractive
apt-get update
# shellcheck disable=SC2086 # the list is split on purpose
apt-get install -y --no-install-recommends $packages
apt-get clean
rm -rf /var/lib/apt/lists/*
