#!/bin/sh
# Prints the package that was built last.
#   packaging/newest.sh DIR amd64|arm64
set -eu
newest=$(find "$1" -maxdepth 1 -name "perch_*_$2.deb" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
[ -n "$newest" ] || { echo "newest.sh: no package for $2 in $1: make deb" >&2; exit 66; }
echo "$newest"
