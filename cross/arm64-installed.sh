#!/bin/bash
# Installs the arm64 package with the arm64 dpkg of a system that does not run, as
# who makes a kit's image does; runs the program there as its own user; installs it
# again; purges it. test-arm64.sh starts this in namespaces of its own: no network,
# and no mount or process stays.
#   cross/arm64-installed.sh PACKAGE ROOT WORK
# ROOT is arm64-root.sh's; WORK has clip.mp4 and what amd64 made of it.
set -euo pipefail
package=${1:?usage: arm64-installed.sh PACKAGE ROOT WORK} root=${2:?} work=${3:?}
. "$(dirname "$(realpath "$0")")/arm64-checks.sh"
# It is process 1 of its namespace, which signals do not end by themselves.
trap 'exit 130' INT TERM

system=$work/system
mkdir -p "$system" "$work"/installed/{upper,work}
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/installed/upper,workdir=$work/installed/work" "$system"
mount -t proc proc "$system/proc"
ip link set lo up
cp "$package" "$system/mnt/perch.deb"
cp "$work/clip.mp4" "$system/mnt/clip.mp4"

there() { chroot "$system" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
# The environment is that of the unit. A frame takes six seconds, and much more on a busy
# machine: the usual limit of 30 would turn such a frame into an error.
# shellcheck disable=SC2317 # called by name
perch() {
	there HOME=/var/lib/perch GST_REGISTRY=/var/cache/perch/gst-registry.bin PERCH_MODELS_DEADLINE=10m \
		setpriv --reuid=perch --regid=perch --init-groups /usr/bin/perch "$@"
}
# What differs from the package: its files, modes and owners, in the words of tar.
differs() { dpkg-deb --fsys-tarfile "$package" | tar --compare -C "$system" -f - 2>&1 | sort | tr '\n' ';'; }
state() { there dpkg-query -W -f '${Architecture} ${Version} ${Status}' perch; }
owner() { there stat -c '%U:%G %a' "$@" | sort -u; }

stage "install, in a system that does not run"
check "installs, with no network and no terminal" there dpkg -i /mnt/perch.deb
same "dpkg" "arm64 $(dpkg-deb -f "$package" Version) install ok installed" "$(state)"
same "dpkg finds nothing amiss" "" "$(there dpkg --audit; there dpkg --verify perch)"
# /lib is a link today; the configuration may hold passwords.
same "files" "./etc/perch/perch.yaml: Gid differs;./etc/perch/perch.yaml: Mode differs;./lib: File type differs;" "$(differs)"
same "configuration" "root:perch 640" "$(owner /etc/perch/perch.yaml)"
same "user's groups" "perch video render" "$(there id -Gn perch)"
same "state and cache" "perch:perch 750" "$(owner /var/lib/perch /var/lib/perch/models /var/cache/perch /var/cache/perch/engines)"
same "starts at the next boot" "/lib/systemd/system/perch.service" "$(there readlink /etc/systemd/system/multi-user.target.wants/perch.service)"
check "has no identity before that" test ! -e "$system/var/lib/perch/device-id"

stage "the program, as its user"
about perch
frames arm64 /mnt/clip.mp4 perch
compare

stage "the same version again, remove, purge"
device=$(cat "$system/var/lib/perch/device-id")
echo '# edited by hand' >>"$system/etc/perch/perch.yaml"
check "installs again and asks nothing" there dpkg -i /mnt/perch.deb
same "dpkg" "arm64 $(dpkg-deb -f "$package" Version) install ok installed" "$(state)"
same "edits are kept" "# edited by hand" "$(tail -n 1 "$system/etc/perch/perch.yaml")"
same "configuration" "root:perch 640" "$(owner /etc/perch/perch.yaml)"
results arm64 perch >"$work/again.frames"
check "results are kept" cmp "$work/arm64.frames" "$work/again.frames"
check "remove" there dpkg -r perch
same "data are kept" "$device" "$(cat "$system/var/lib/perch/device-id")"
check "purge" there dpkg -P perch
# The logs of dpkg and the test's own files are not the package's.
same "purge leaves nothing" "" "$(find "$system" -xdev \( -path "$system/mnt" -o -path "$system/var/log" \) -prune -o -name '*perch*' -print; there getent passwd perch; there getent group perch)"
exit "$failed"
