#!/bin/bash
# What the package does on a Debian 12 machine without a network, under real
# systemd: install, run, crash, freeze, upgrade, roll back, downgrade, remove, purge.
# cuts.sh is a part of it.
#   packaging/test/deb-test.sh PACKAGE ROOT CLIP
# ROOT is root.sh's folder, CLIP a short H.264 file. Needs root.
set -euo pipefail
package=$(realpath "${1:?usage: deb-test.sh PACKAGE ROOT CLIP}") root=${2:?} clip=${3:?}
here=$(dirname "$(realpath "$0")")
[ "$(id -u)" = 0 ] || { echo "deb-test.sh: needs root, to boot a container" >&2; exit 77; }
work=$(mktemp -d "$(dirname "$(realpath "$root")")/deb-test.XXXXXX")
machine=$work/machine
failures=0
finish() {
	"$here/machine.sh" down "$machine" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

m() { "$here/machine.sh" sh "$machine" "$@"; }
msh() { m bash -euo pipefail -c "$1"; }
ok() { printf 'ok    %s\n' "$1"; }
bad() {
	printf 'FAIL  %s\n' "$1"
	failures=$((failures + 1))
}
# check WHAT COMMAND...: the command has to succeed in the machine.
check() {
	local what=$1
	shift
	if m "$@" >"$work/out" 2>&1; then ok "$what"; else
		bad "$what"
		sed 's/^/      /' "$work/out"
	fi
}
# same WHAT WANT GOT
same() { if [ "$2" = "$3" ]; then ok "$1: $3"; else bad "$1: $3, wanted $2"; fi; }
# within SECONDS WHAT BASH_CONDITION: waits for it and says how long that took.
within() {
	local begin
	begin=$(date +%s)
	until msh "$3" >/dev/null 2>&1; do
		if [ $(($(date +%s) - begin)) -ge "$1" ]; then
			bad "$2: not within $1 s"
			m systemctl status perch --no-pager -n 8 | sed 's/^/      /' || true
			return
		fi
		sleep 0.3
	done
	ok "$2, after $(($(date +%s) - begin)) s (limit $1)"
}
pid() { m systemctl show -p MainPID --value perch; }
version() { m dpkg-query -W -f '${Version} ${Status}' perch; }
active='[ "$(systemctl is-active perch)" = active ]'

# variant VERSION NAME: the same package under another version, changed by the
# commands on standard input, which run in its tree.
variant() {
	local tree=$work/$2
	dpkg-deb -R "$package" "$tree"
	sed -i "s/^Version: .*/Version: $1/" "$tree/DEBIAN/control"
	(cd "$tree" && bash -euo pipefail &&
		find . -type f ! -path './DEBIAN/*' ! -path ./etc/perch/perch.yaml -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
	dpkg-deb --root-owner-group -Znone --build "$tree" "$machine/bind/$2.deb" >/dev/null
	rm -rf "$tree"
}

mkdir -p "$machine/bind"
cp "$package" "$machine/bind/first.deb"
cp "$clip" "$machine/bind/clip.mp4"
first=$(dpkg-deb -f "$package" Version)
variant 1.0 good <<'C'
echo "# A key that version 1.0 brought." >>etc/perch/perch.yaml
cp etc/perch/perch.yaml usr/share/perch/perch.yaml
C
variant 1.1 ends <<'C'
printf '#!/bin/sh\necho "perch: this version is broken" >&2\nexit 1\n' >usr/bin/perch
echo "# A key that version 1.1 brought." >>etc/perch/perch.yaml
cp etc/perch/perch.yaml usr/share/perch/perch.yaml
C
variant 1.2 hangs <<'C'
printf '#!/bin/sh\nexec sleep 1000\n' >usr/bin/perch
C
variant 1.3 rejects <<'C'
printf '#!/bin/sh\necho "perch: a key of the configuration has gone" >&2\nexit 78\n' >usr/bin/perch
C
variant 1.4 falls <<'C'
mv usr/bin/perch usr/lib/perch/real
printf '#!/bin/sh\n(sleep 2; kill -9 $$) &\nexec /usr/lib/perch/real "$@"\n' >usr/bin/perch
chmod 755 usr/bin/perch
C
# As a version with another schema does: the copy first, then the change.
variant 1.45 migrates <<'C'
cat >usr/bin/perch <<'P'
#!/bin/sh
cd /var/lib/perch || exit 1
n=$(sqlite3 perch.db 'pragma user_version')
[ "$n" = 99 ] || sqlite3 perch.db "vacuum into 'perch.db.schema-$n'" 'pragma user_version = 99'
echo "perch: the schema is changed, and this version is broken" >&2
exit 1
P
C
variant 1.5 better </dev/null

"$here/machine.sh" up "$root" "$machine"
echo "== install"
check "installs, with no network and no terminal" dpkg -i /mnt/first.deb
within 10 "is running" "$active"
same "user's groups" "perch video render" "$(m id -Gn perch)"
same "configuration" "root:perch 640" "$(m stat -c '%U:%G %a' /etc/perch/perch.yaml)"
same "state" "perch:perch 750" "$(m stat -c '%U:%G %a' /var/lib/perch)"
check "the console answers" curl -sfo /dev/null http://localhost:8080/
check "it says that it is ready" curl -sf http://localhost:8080/readyz
. "$here/clock.sh"
check "units are sound" systemd-analyze verify --man=no perch.service perch-rollback.service
check "the man page and the completions are there" test -s /usr/share/man/man8/perch.8.gz -a -s /usr/share/bash-completion/completions/perch
check "the installed files are those of the package" dpkg --verify perch
device=$(m cat /var/lib/perch/device-id)

echo "== a run"
msh 'cat >/etc/perch/perch.yaml' <<'C'
# edited by hand
models:
  providers: [rehearsal, cpu]
  rehearsal: 10s
  build_memory: 1 MiB
cameras:
  yard:
    url: /mnt/clip.mp4
    loop: true
C
m systemctl restart perch
within 30 "a camera is live" 'curl -sf localhost:8080/api/v1/cameras | grep -q "\"live\""'
check "the journal knows what was said of the camera" sh -c 'journalctl -u perch CAMERA=yard STATE=live _TRANSPORT=journal -o cat --no-pager | grep "camera state"'
check "its model serves before the engine is there, and systemctl status says how far that is" sh -c 'systemctl show -p StatusText --value perch | grep "runs on cpu; building engine for rehearsal"'
within 40 "the model moves to its engine" 'curl -sf localhost:8080/api/v1/models | grep -q "\"provider\":\"rehearsal\""'
check "the engine is in the cache" sh -c 'ls /var/cache/perch/engines/*/engine.json'
check "a run completes" runuser -u perch -- perch process --json --data-dir /var/lib/perch/try /mnt/clip.mp4
if grep -q '"termination_reason":"end_of_stream"' "$work/out"; then ok "and its record says so"; else bad "the record: $(cat "$work/out")"; fi

echo "== crash and freeze"
old=$(pid)
m kill -9 "$old"
# For a moment after its end it has no process and is still called active.
another() { echo "$active && p=\$(systemctl show -p MainPID --value perch) && [ \"\$p\" != 0 ] && [ \"\$p\" != $1 ]"; }
within 15 "kill -9: systemd starts it again" "$(another "$old")"
old=$(pid)
m kill -STOP "$old"
within 60 "frozen: the watchdog ends it and systemd starts it again" "$(another "$old")"
check "and the journal says that it was the watchdog" sh -c 'journalctl -u perch --no-pager | grep -i "watchdog timeout"'
within 30 "the camera is live again" 'curl -sf localhost:8080/api/v1/cameras | grep -q "\"live\""'

echo "== upgrade"
check "an upgrade with an edited configuration asks nothing" dpkg --force-confold --force-confdef -i /mnt/good.deb
same "version" "1.0 install ok installed" "$(version)"
check "it runs" systemctl is-active perch
check "edits are kept" grep -q 'edited by hand' /etc/perch/perch.yaml
check "nothing is left of the version before" test ! -e /var/lib/perch-upgrade
same "device" "$device" "$(m cat /var/lib/perch/device-id)"
runs=$(m sqlite3 -readonly /var/lib/perch/perch.db 'select count(*) > 2 from runs' || true)
same "runs are kept" 1 "$runs"

# What administrators find after an upgrade that failed.
undone() { # NAME SECONDS
	m rm -rf /var/lib/perch-upgrade
	local begin
	begin=$(date +%s)
	if m dpkg --force-confold --force-confdef -i "/mnt/$1.deb" >"$work/out" 2>&1; then bad "$1: dpkg calls it a success"; else ok "$1: dpkg reports a failure, after $(($(date +%s) - begin)) s"; fi
	if grep -q 'going back to version 1.0' "$work/out"; then ok "$1: and says that it goes back"; else
		bad "$1: says nothing of going back"
		sed 's/^/      /' "$work/out"
	fi
	within "$2" "$1: version 1.0 is back and runs" "[ \"\$(dpkg-query -W -f '\${Version} \${Status}' perch)\" = '1.0 install ok installed' ] && $active && curl -sf localhost:8080/readyz && test -s /var/lib/perch-upgrade/rolled-back"
	check "$1: the journal says so" sh -c 'journalctl -u perch-rollback --no-pager | grep "did not start; version 1.0 is back"'
	check "$1: edits are kept" grep -q 'edited by hand' /etc/perch/perch.yaml
	same "$1: device" "$device" "$(m cat /var/lib/perch/device-id)"
	check "$1: dpkg is content" sh -c '[ -z "$(dpkg --audit)" ] && dpkg --verify perch | grep -v " c " | grep . && exit 1 || exit 0'
}
echo "== upgrades that are undone"
undone ends 40
msh 'mkdir -p /run/systemd/system/perch.service.d; printf "[Service]\nTimeoutStartSec=4\n" >/run/systemd/system/perch.service.d/test.conf'
undone hangs 40
msh 'rm -r /run/systemd/system/perch.service.d; systemctl daemon-reload'
undone rejects 40
undone falls 40
schema=$(m sqlite3 -readonly /var/lib/perch/perch.db 'pragma user_version')
undone migrates 40
same "migrates: the database has its schema back" "$schema" "$(m sqlite3 -readonly /var/lib/perch/perch.db 'pragma user_version')"
same "migrates: and its runs" 1 "$(m sqlite3 -readonly /var/lib/perch/perch.db 'select count(*) > 2 from runs' || true)"
check "migrates: what the broken version did is kept apart" sh -c "[ \"\$(sqlite3 -readonly /var/lib/perch/perch.db.newer 'pragma user_version')\" = 99 ]"
check "migrates: and the notice says so" grep -q perch.db.newer /var/lib/perch-upgrade/rolled-back
. "$here/cuts.sh"
check "the next good upgrade works" dpkg --force-confold --force-confdef -i /mnt/better.deb
same "version" "1.5 install ok installed" "$(version)"
check "it runs" systemctl is-active perch
check "edits are kept" grep -q 'edited by hand' /etc/perch/perch.yaml

echo "== downgrade, disabled, wrong configuration"
check "a downgrade works" dpkg --force-confold --force-confdef -i /mnt/good.deb
same "version" "1.0 install ok installed" "$(version)"
check "it runs" systemctl is-active perch
m systemctl disable --now perch 2>/dev/null
check "an upgrade while disabled" dpkg --force-confold --force-confdef -i /mnt/better.deb
same "disabled stays disabled" "disabled" "$(m systemctl is-enabled perch || true)"
same "and stopped" "inactive" "$(m systemctl is-active perch || true)"
check "the same version again" dpkg --force-confold --force-confdef -i /mnt/better.deb
same "still stopped" "inactive" "$(m systemctl is-active perch || true)"
m systemctl enable perch 2>/dev/null
msh 'cp -a /etc/perch/perch.yaml /tmp/keep; echo "camera: 1" >>/etc/perch/perch.yaml'
m systemctl start perch 2>/dev/null && bad "starts with a wrong configuration" || ok "does not start with a wrong configuration"
sleep 5
same "and is not tried again" "failed 0" "$(m systemctl is-failed perch || true) $(m systemctl show -p NRestarts --value perch)"
msh 'cp -a /tmp/keep /etc/perch/perch.yaml; systemctl start perch'

echo "== remove, install again, purge"
check "remove" dpkg -r perch
same "stopped" "inactive" "$(m systemctl is-active perch || true)"
check "data are kept" test -s /var/lib/perch/perch.db -a -s /etc/perch/perch.yaml
check "install again" dpkg -i /mnt/better.deb
within 10 "it runs" "$active"
same "device" "$device" "$(m cat /var/lib/perch/device-id)"
. "$here/image.sh"
m usermod -aG perch games
check "purge" dpkg -P perch
# The journal, the logs of dpkg and the test's own files are not the package's.
left=$(msh "find / -xdev \( -path /proc -o -path /sys -o -path /mnt -o -path /var/log \) -prune -o -name '*perch*' ! -name perch-test-root -print; getent passwd perch || true; getent group perch || true")
same "purge leaves nothing" "" "$left"
check "purge again does no harm" sh -c 'dpkg -P perch; exit 0'

[ "$failures" = 0 ] || { echo "$failures failed"; exit 1; }
echo "all good"
