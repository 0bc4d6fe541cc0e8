#!/bin/bash
# Boots the arm64 system with systemd, emulated as everything, and installs the
# package there as on a device: the service starts, comes back, goes.
#   cross/arm64-booted.sh PACKAGE ROOT WORK
set -euo pipefail
package=${1:?usage: arm64-booted.sh PACKAGE ROOT WORK} root=${2:?} work=${3:?}
here=$(dirname "$(realpath "$0")")
. "$here/arm64-checks.sh"
machine=$work/machine
control=$here/../packaging/test/machine.sh
m() { "$control" sh "$machine" "$@"; }
trap '"$control" down "$machine" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM

show() { m systemctl show -p "$1" --value perch; }
leader() { pgrep -P "$(cat "$machine/nspawn.pid")" -x systemd; }
# The console and readiness, asked within the machine's network but not emulated.
answers() {
	local path
	for path in / /readyz; do
		nsenter -n -t "$(leader)" curl -sS --fail --max-time 20 -o /dev/null "http://127.0.0.1:8080$path" || return 1
	done
}

stage "boot"
mkdir -p "$machine/bind"
cp "$package" "$machine/bind/perch.deb"
"$control" up "$root" "$machine"
ok "systemd $(m systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p') runs on $(m uname -m)"

stage "install, on a running system"
check "installs and starts" m dpkg -i /mnt/perch.deb
same "service" active "$(m systemctl is-active perch || true)"
check "the console answers, and says that it is ready" answers
device=$(m cat /var/lib/perch/device-id)
check "systemctl stop" m systemctl stop perch
check "systemctl start" m systemctl start perch
check "the console answers" answers
m kill -9 "$(show MainPID)"
back=no
for _ in $(seq 60); do
	if answers 2>/dev/null; then
		back=yes
		break
	fi
	sleep 1
done
same "kill -9: the console answers again" yes "$back"
same "kill -9: systemd has started it again" 1 "$(show NRestarts)"

stage "the same version again, purge"
old=$(show MainPID)
check "installs again, and waits until it is up" m dpkg -i /mnt/perch.deb
same "service" active "$(m systemctl is-active perch || true)"
if [ "$(show MainPID)" != "$old" ]; then ok "another process"; else bad "the old process still runs"; fi
same "device" "$device" "$(m cat /var/lib/perch/device-id)"
check "nothing is left of the version before" m test ! -e /var/lib/perch-upgrade
check "purge" m dpkg -P perch
same "service" inactive "$(m systemctl is-active perch || true)"
exit "$failed"
