#!/bin/sh
# check.sh with the symbols files that belong to an architecture.
#   cross/checked.sh amd64|arm64 PROGRAM
set -eu
here=$(dirname "$(realpath "$0")")
case ${1:-} in
arm64) set -- "$2" "${XDG_CACHE_HOME:-$HOME/.cache}"/perch/cross/sysroot-arm64/symbols/*.symbols ;;
amd64) set -- "$2" /var/lib/dpkg/info/libgstreamer*.symbols /var/lib/dpkg/info/libglib2*.symbols ;;
*) echo "usage: checked.sh amd64|arm64 PROGRAM" >&2; exit 64 ;;
esac
exec "$here/check.sh" "$@"
