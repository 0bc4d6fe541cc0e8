#!/bin/sh
# Installs the Debian packages that a task needs, if any is missing.
#   packaging/deps.sh build|run|test|cross|machine|emulate...
set -eu
build="gcc libc6-dev pkg-config libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev"
run="gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
 gstreamer1.0-plugins-ugly gstreamer1.0-libav ca-certificates openssl"
test="mosquitto mosquitto-clients chromium openssl python3-aiortc"
cross="gcc-aarch64-linux-gnu binutils debian-archive-keyring openssl"
machine="debootstrap systemd-container lintian"
emulate="qemu-user-static debootstrap debian-archive-keyring systemd-container iproute2 curl"

want=""
for task in "$@"; do
	case $task in
	build) want="$want $build" ;;
	run) want="$want $run" ;;
	test) want="$want $test" ;;
	cross) want="$want $cross" ;;
	machine) want="$want $machine" ;;
	emulate) want="$want $emulate" ;;
	*) echo "deps.sh: unknown task '$task' (build, run, test, cross, machine, emulate)" >&2; exit 64 ;;
	esac
done
# npm is a package client here, to fetch what fetch.sh names; any npm will do.
command -v npm >/dev/null 2>&1 || want="$want npm"
# Ubuntu ships Chromium as a snap behind a package of another name.
if [ "$(. /etc/os-release; echo "$ID")" = ubuntu ]; then
	want=$(echo "$want" | sed 's/\bchromium\b/chromium-browser/')
fi

missing=""
for p in $want; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

sudo=""
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null 2>&1 || { echo "deps.sh: these packages are missing, and neither root nor sudo is here:$missing" >&2; exit 77; }
	sudo=sudo
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q
# shellcheck disable=SC2086 # a list on purpose
$sudo apt-get install -q -y --no-install-recommends $missing
