#!/bin/sh
# Stands in for npm, pip and python3: a test links to it under that name and puts what it shall do into a file
# `behaviour` beside the link. (Linked and not written, because a script that another thread still holds open
# for writing cannot be run.)
here=${0%/*}
printf '%s %s\n' "${0##*/}" "$*" >> "$here/calls"
while [ $# -gt 0 ]; do
    case $1 in
    --pack-destination | --dest) into=$2 ;;
    esac
    shift
done
. "$here/behaviour"
