#!/bin/sh
# Prints the version of the Debian packages for what git describe says.
#   packaging/version.sh VERSION SECONDS_SINCE_1970_OF_THE_COMMIT
# A tag v1.2.3 is version 1.2.3; v1.2.3-rc1 comes before it, and what was committed
# after a tag behind that tag. Anything else comes before every release, by the time
# of its commit. What a Debian version may not have becomes a dot.
set -eu
version=${1:?usage: version.sh VERSION SECONDS} seconds=${2:?}
case $version in
v[0-9]*) echo "${version#v}" | sed -E 's/-(alpha|beta|pre|rc)/~\L\1/I; s/-/+/g; s/[^A-Za-z0-9.+~]/./g' ;;
*) echo "0~git$(date -u -d "@$seconds" +%Y%m%d.%H%M%S)+$(echo "$version" | sed 's/[^A-Za-z0-9.+~]/./g')" ;;
esac
