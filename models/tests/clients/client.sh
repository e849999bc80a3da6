#!/bin/sh
# Stands in for npm, pip and python3. A test links to it under that name, and writes the commands to run into a file
# `behaviour` beside the link. (A copy would not do: a script that another thread still has open for writing cannot be run.)
here=${0%/*}
printf '%s %s\n' "${0##*/}" "$*" >> "$here/calls"
while [ $# -gt 0 ]; do
    case $1 in
    --pack-destination | --dest) into=$2 ;;
    esac
    shift
done
. "$here/behaviour"
