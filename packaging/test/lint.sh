#!/bin/sh
# Lintian on the newest packages; its errors and warnings fail. What is overridden
# says why in debian/lintian-overrides.
#   packaging/test/lint.sh DIR
set -eu
here=$(dirname "$(realpath "$0")")
for arch in amd64 arm64; do
	package=$("$here/../newest.sh" "$1" "$arch")
	lintian --profile debian --fail-on error,warning --allow-root "$package"
	echo "lintian: $package: nothing"
done
