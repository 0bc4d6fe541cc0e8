#!/bin/bash
# Makes a whole arm64 system, Debian 12 with systemd, every instruction emulated:
# what a package Depends on and Recommends is installed, so that the package itself
# can be without a network. Needs root and binfmt.sh's handler; once, 0.7 GB and five
# minutes. Prints where it is.
#   cross/arm64-root.sh PACKAGE CACHE
set -euo pipefail
package=${1:?usage: arm64-root.sh PACKAGE CACHE} cache=$(realpath -m "${2:?}")
here=$(dirname "$(realpath "$0")")
suite=bookworm
keys=/usr/share/keyrings/debian-archive-keyring.gpg
# "a (>= 1), b | c" as "a b"; what makes an init system is for the test that boots it.
wanted="$(for field in Pre-Depends Depends Recommends; do dpkg-deb -f "$package" "$field"; done |
	tr ',' '\n' | sed -E 's/^ *([a-z0-9.+-]+).*/\1/' | sort -u | tr '\n' ' ')"

# Another script, or a package with other dependencies, is another system.
name=root-arm64-$( (cat "$0"; echo "$wanted") | sha256sum | cut -c1-12)
dir=$cache/$name
if [ -d "$dir" ]; then echo "$dir"; exit 0; fi

[ "$(id -u)" = 0 ] || { echo "arm64-root.sh: needs root, to unpack a system" >&2; exit 77; }
command -v debootstrap >/dev/null || { echo "arm64-root.sh: apt-get install debootstrap" >&2; exit 69; }
[ -f "$keys" ] || { echo "arm64-root.sh: the keys of Debian's archive are missing: apt-get install debian-archive-keyring" >&2; exit 69; }
mirror=$("$here/mirror.sh")
mkdir -p "$cache"
# Those of older scripts, and what a killed one left.
find "$cache" -maxdepth 1 -name 'root-arm64*' -exec rm -rf --one-file-system {} +
work=$(mktemp -d "$cache/root-arm64.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
echo "making an arm64 system in $dir, emulated (five minutes)" >&2

# Its mounts go with its namespace. Without the check, debootstrap would only warn
# when it cannot check the archive's signature.
# shellcheck disable=SC2016 # for the inner shell
unshare -m --propagation private bash -euo pipefail -c '
	root=$1/root
	debootstrap --arch=arm64 --variant=minbase --keyring="$2" --force-check-gpg \
		--include=systemd,systemd-sysv,dbus,procps,iproute2,ca-certificates "$3" "$root" "$4"
	mount -t proc proc "$root/proc"
	printf "#!/bin/sh\nexit 101\n" >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	# As packaging/test/root.sh: little to unpack, but all of Perch.
	cat >"$root/etc/dpkg/dpkg.cfg.d/small" <<-C
		force-unsafe-io
		path-exclude /usr/share/doc/*
		path-include /usr/share/doc/*/copyright
		path-include /usr/share/doc/perch/*
		path-exclude /usr/share/man/*
		path-include /usr/share/man/man8/perch*
		path-exclude /usr/share/locale/*
	C
	export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
	chroot "$root" apt-get -q -o Acquire::Languages=none update
	chroot "$root" apt-get -q install -y --no-install-recommends $5
	chroot "$root" apt-get clean
	rm -rf "$root"/var/lib/apt/lists/* "$root/usr/sbin/policy-rc.d" "$root/etc/resolv.conf"
	: >"$root/etc/machine-id"
' - "$work" "$keys" "$suite" "$mirror" "$wanted" >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 69; }
# Whole or not at all.
mv -T "$work/root" "$dir"
echo "$dir"
