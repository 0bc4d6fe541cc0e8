#!/bin/sh
# Prints the address of the Debian mirror to take arm64 packages from: this
# machine's own, or DEBIAN_MIRROR where this machine is not Debian.
set -eu
uri=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
	sed -n 's/^Debian //p' | grep -v security | head -n 1)
uri=${uri:-${DEBIAN_MIRROR:-}}
[ -n "$uri" ] || { echo "mirror.sh: this machine has no Debian mirror of its own; set DEBIAN_MIRROR to the address of one" >&2; exit 69; }
echo "$uri"
