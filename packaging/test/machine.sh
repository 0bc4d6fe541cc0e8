#!/bin/bash
# A Debian 12 system under real systemd, in a container on an overlay of root.sh's
# folder, with no network but lo. Needs root.
#   machine.sh up ROOT DIR       boots; DIR keeps what the machine writes
#   machine.sh sh DIR COMMAND... runs a command in it
#   machine.sh down DIR          shuts it down; DIR stays
#   machine.sh cut DIR           ends it as a power cut does, but for what the disk had
#                                not got yet; up boots it again
# DIR/bind is /mnt in the machine. It may ask whether the clock is right, which nspawn
# forbids by itself.
set -euo pipefail
leader() { pgrep -P "$(cat "$1/nspawn.pid")" -x systemd; }

case ${1:-} in
up)
	root=$(realpath "$2") dir=$(realpath -m "$3")
	mkdir -p "$dir"/{upper,work,machine,bind}
	mount -t overlay overlay -o "lowerdir=$root,upperdir=$dir/upper,workdir=$dir/work" "$dir/machine"
	# systemd-nspawn wants a tmpfs on /run. It gets one in a mount namespace of its
	# own, so that this machine's stays as it is.
	unshare -m --propagation private bash -c '
		mount -t tmpfs tmpfs /run
		echo $$ >"$1/nspawn.pid"
		exec systemd-nspawn -q -D "$1/machine" --boot --machine="$2" --register=no --keep-unit \
			--private-network --system-call-filter=adjtimex --console=pipe --bind="$1/bind:/mnt"' - "$dir" "perch-test-$$" </dev/null >"$dir/console.log" 2>&1 &
	state=""
	for _ in $(seq 300); do
		sleep 0.2
		state=$(nsenter -t "$(leader "$dir" 2>/dev/null || echo 0)" -a systemctl is-system-running 2>/dev/null || true)
		case $state in running | degraded) exit 0 ;; esac
	done
	echo "machine.sh: not up after a minute: ${state:-no systemd}" >&2
	tail "$dir/console.log" >&2
	exit 1
	;;
sh)
	dir=$2
	shift 2
	exec nsenter -t "$(leader "$dir")" -a env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		sh -c 'cd / && exec "$@"' - "$@"
	;;
down)
	pid=$(cat "$2/nspawn.pid")
	nsenter -t "$(leader "$2")" -a systemctl poweroff || true
	for _ in $(seq 150); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.2
	done
	kill -9 "$pid" 2>/dev/null && sleep 1 # one that never came up, for example
	umount "$2/machine"
	;;
cut)
	pid=$(cat "$2/nspawn.pid")
	kill -9 "$(leader "$2")"
	while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
	umount "$2/machine"
	;;
*)
	echo "usage: machine.sh up ROOT DIR | sh DIR COMMAND... | down DIR | cut DIR" >&2
	exit 64
	;;
esac
