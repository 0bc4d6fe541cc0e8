#!/bin/bash
# Makes the Debian 12 system that machine.sh boots: systemd, GStreamer, nothing of
# Perch. Needs root, once, 0.9 GB and a few minutes.
#   packaging/test/root.sh DIR
set -euo pipefail
dir=$(realpath -m "${1:?usage: root.sh DIR}")
here=$(dirname "$(realpath "$0")")
[ -f "$dir/etc/perch-test-root" ] && exit 0
[ "$(id -u)" = 0 ] || { echo "root.sh: needs root, to unpack a system" >&2; exit 77; }
command -v debootstrap >/dev/null || { echo "root.sh: apt-get install debootstrap" >&2; exit 69; }
mkdir -p "$(dirname "$dir")"
work=$(mktemp -d "$(dirname "$dir")/root.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "making a Debian 12 system in $dir (minutes)"
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps,iproute2,udev,libglib2.0-0,ca-certificates,sqlite3,curl \
	bookworm "$work/root" "$("$here/../../cross/mirror.sh")" >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 69; }
# What a package of Perch Depends on and Recommends: the machine has no network.
unshare -m bash -c "mount -t proc proc '$work/root/proc'; chroot '$work/root' bash" >"$work/log" 2>&1 <<'C' || { tail "$work/log" >&2; exit 69; }
set -e
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
printf 'path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\npath-include /usr/share/doc/perch/*\npath-exclude /usr/share/man/*\npath-include /usr/share/man/man8/perch*\n' >/etc/dpkg/dpkg.cfg.d/nodoc
apt-get -q update
apt-get -q install -y --no-install-recommends libstdc++6 gstreamer1.0-plugins-{base,good,bad,ugly} gstreamer1.0-libav
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d
: >/etc/machine-id
C
: >"$work/root/etc/perch-test-root"
mv -T "$work/root" "$dir"
