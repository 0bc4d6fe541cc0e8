#!/bin/sh
# Prints the address of the Debian mirror to take arm64 packages from: this
# machine's own, or the public one where this machine is not Debian.
set -eu
uri=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
	sed -n 's/^Debian //p' | grep -v security | head -n 1)
echo "${uri:-http://deb.debian.org/debian/}"
