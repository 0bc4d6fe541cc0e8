# Upgrades that are disturbed: by power cuts between two commands, by apt, by a full
# disk, by people. A part of deb-test.sh, which has 1.0 running when it sources this,
# and again afterwards.
# shellcheck shell=bash disable=SC2154

# halt_at PROGRAM PATTERN: whoever calls PROGRAM with such arguments, and looks for it
# in /usr/local/bin first as systemd does, gets no further, and the machine says so.
halt_at() {
	rm -f "$machine/bind/reached"
	msh "cat >/usr/local/bin/$1; chmod 755 /usr/local/bin/$1" <<-C
		#!/bin/sh
		case "\$*" in $2) echo \$\$ >/mnt/reached; exec sleep infinity ;; esac
		exec /usr/bin/$1 "\$@"
	C
}
reached() { within 60 "$1" 'test -e /mnt/reached'; }
# kill_dpkg kills it where its script was halted: halted, script, dpkg.
kill_dpkg() { msh 'p=$(cat /mnt/reached) s=$(ps -o ppid= -p $p) d=$(ps -o ppid= -p $s); kill -9 $d $p'; }
go_on() { msh 'rm -f /usr/local/bin/*'; }
# The power goes and comes back.
cut_power() {
	"$here/machine.sh" cut "$machine"
	"$here/machine.sh" up "$root" "$machine"
}
upgrade() { timeout 200 "$here/machine.sh" sh "$machine" env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin dpkg --force-confold --force-confdef -i "/mnt/$1.deb"; }
status() { m dpkg-query -W -f '${db:Status-Status}' perch; }
back() { # WHAT
	within 60 "$1" "[ \"\$(dpkg-query -W -f '\${Version} \${Status}' perch)\" = '1.0 install ok installed' ] && $active && curl -sf localhost:8080/readyz && ! test -e /var/lib/perch-upgrade/version"
	same "edits and device are kept" "1 $device" "$(m grep -c 'edited by hand' /etc/perch/perch.yaml) $(m cat /var/lib/perch/device-id)"
	check "dpkg is content" sh -c '[ -z "$(dpkg --audit)" ] && dpkg --verify perch | grep -v " c " | grep . && exit 1 || exit 0'
}
# What the rollback that was started last has said; none of those before it.
said='journalctl "_SYSTEMD_INVOCATION_ID=$(systemctl show -p InvocationID --value perch-rollback)" -o cat --no-pager'
runs() { m sqlite3 -readonly /var/lib/perch/perch.db 'select count(*) from runs'; }
start_refused='systemctl start perch; [ "$(systemctl show -p ConditionResult --value perch)" = no ] && ! systemctl is-active perch'

echo "== power cuts while an upgrade is undone"
# As apt does: it keeps the lock after dpkg has ended, for it has other work.
cat >"$machine/bind/apt" <<'C'
#!/usr/bin/perl
use Fcntl;
open(my $lock, '>>', '/var/lib/dpkg/lock-frontend') or die $!;
my $all = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0);
fcntl($lock, F_SETLK, $all) or die $!;
$ENV{DPKG_FRONTEND_LOCKED} = 1;
system('dpkg', '--force-confold', '--force-confdef', '-i', "/mnt/$ARGV[0].deb");
select(undef, undef, undef, 0.1) until -e '/mnt/apt-done';
C
before=$(runs)
m perl /mnt/apt migrates >"$work/apt" 2>&1 &
apt=$!
within 60 "the rollback waits for apt, and says so" "test -e /var/lib/perch-upgrade/failed && systemctl is-active perch-rollback && $said | grep 'waits until apt or dpkg has ended'"
check "the version that failed does not start meanwhile" sh -c "$start_refused"
check "nor is it configured" sh -c 'DPKG_FRONTEND_LOCKED=1 dpkg --configure perch 2>&1 | grep "version 1.0 is to come back"'
same "the database is not exchanged yet" 99 "$(m sqlite3 -readonly /var/lib/perch/perch.db 'pragma user_version')"
m mv /var/lib/perch-upgrade/tree /var/lib/perch-upgrade/away
: >"$machine/bind/apt-done"
wait "$apt"
within 20 "a rollback that fails says so, and that Perch stays stopped" "$said | grep 'version 1.0 is not back: could not pack it.*stays stopped'"
within 10 "and waits to try again" '[ "$(systemctl show -p SubState --value perch-rollback)" = auto-restart ]'
m mv /var/lib/perch-upgrade/away /var/lib/perch-upgrade/tree
halt_at mv '*/perch.db.schema-*/perch.db'
cut_power
reached "after a boot it goes on by itself; cut between the database's going and its copy's coming"
check "there is no database" test ! -e /var/lib/perch/perch.db -a -e /var/lib/perch/perch.db.newer
check "and nothing makes a new one" sh -c "$start_refused; test ! -e /var/lib/perch/perch.db"
go_on
halt_at systemctl '*daemon-reload*'
cut_power
reached "after another boot it goes on; cut within dpkg"
same "dpkg's word for it" half-installed "$(status)"
check "the database has its schema back" sh -c "[ \"\$(sqlite3 -readonly /var/lib/perch/perch.db 'pragma user_version')\" = $schema ]"
go_on
cut_power
back "after the third boot version 1.0 is back and runs"
within 10 "it says so" "grep 'perch 1.45 did not start; version 1.0 is back, with the database as it was' /var/lib/perch-upgrade/rolled-back && $said | grep -x 'perch runs'"
check "runs are kept" test "$(runs)" -ge "$before"
check "what the broken version did is kept apart" sh -c "[ \"\$(sqlite3 -readonly /var/lib/perch/perch.db.newer 'pragma user_version')\" = 99 ]"
check "nothing else is left" sh -c '[ "$(ls /var/lib/perch-upgrade)" = rolled-back ]'

echo "== power cuts in an upgrade"
halt_at systemctl '*daemon-reload*'
upgrade rejects >"$work/out" 2>&1 &
reached "cut while it is unpacked"
same "dpkg's word for it" half-installed "$(status)"
go_on
cut_power
wait $! || true
back "version 1.0 is back after the boot"
check "it says so" grep 'an upgrade of perch was cut short; version 1.0 is back' /var/lib/perch-upgrade/rolled-back
halt_at journalctl '*perch.service*'
upgrade rejects >"$work/out" 2>&1 &
reached "cut before the verdict on it"
same "dpkg's word for it" half-configured "$(status)"
check "which is not recorded" test -e /var/lib/perch-upgrade/version -a ! -e /var/lib/perch-upgrade/failed
go_on
msh 'cp -a /etc/perch/perch.yaml /tmp/keep; echo "camera: 1" >>/etc/perch/perch.yaml; cp -a /tmp/keep /var/tmp/keep'
cut_power
wait $! || true
within 60 "the boot comes to the same verdict; version 1.0, which does not run either, is said not to" 'grep "perch does not run" /var/lib/perch-upgrade/rolled-back'
msh 'mv /var/tmp/keep /etc/perch/perch.yaml; systemctl restart perch'
back "with its configuration mended it runs"

echo "== upgrades that people and disks disturb"
upgrade hangs >"$work/out" 2>&1 &
within 20 "the new version starts" '[ "$(dpkg-query -W -f "\${Version} \${db:Status-Status}" perch)" = "1.2 half-configured" ] && [ "$(systemctl is-active perch)" = activating ] && pgrep -x sleep'
m systemctl stop perch
if wait $! && grep -q 'was not seen' "$work/out"; then ok "stopped meanwhile: the upgrade is done and says what it does not know"; else bad "stopped meanwhile: $(cat "$work/out")"; fi
same "version" "1.2 install ok installed" "$(version)"
check "nothing is left of the version before" test ! -e /var/lib/perch-upgrade
check "a downgrade" dpkg --force-confold --force-confdef -i /mnt/good.deb
back "it runs"
head -c 30000000 "$machine/bind/better.deb" >"$machine/bind/torn.deb"
if upgrade torn >"$work/out" 2>&1; then bad "a torn package is installed"; else ok "a torn package is not installed"; fi
check "nothing is left of it" test ! -e /var/lib/perch-upgrade
back "version 1.0 goes on"
msh 'mkdir -m 700 /var/lib/perch-upgrade; mount -t tmpfs -o size=100m tmpfs /var/lib/perch-upgrade'
if upgrade better >"$work/out" 2>&1; then bad "no room for the way back: it is upgraded"; else ok "no room for the way back: it is not upgraded"; fi
if grep -q 'need .* MB on the disk of' "$work/out"; then ok "and it says how much"; else bad "no word of room: $(cat "$work/out")"; fi
msh 'umount /var/lib/perch-upgrade; rmdir /var/lib/perch-upgrade'
back "version 1.0 goes on"
halt_at systemctl '*daemon-reload*'
upgrade better >"$work/out" 2>&1 &
reached "dpkg is killed while it unpacks"
kill_dpkg
wait $! || true
go_on
if upgrade rejects >"$work/out" 2>&1; then bad "an upgrade after that, to a broken version: dpkg calls it a success"; else ok "an upgrade after that, to a broken version: dpkg reports a failure"; fi
back "the version that has run is back, not the one that was half there"
halt_at journalctl '*perch.service*'
upgrade rejects >"$work/out" 2>&1 &
reached "a broken version again, and its way back is broken, too"
m mv /var/lib/perch-upgrade/tree /tmp/tree
msh 'kill $(cat /mnt/reached)'
wait $! || true
go_on
within 20 "it is not back" "$said | grep 'could not pack it'"
check "a good version takes over" dpkg --force-confold --force-confdef -i /mnt/better.deb
within 10 "and runs" "$active && curl -sf localhost:8080/readyz"
check "nothing is left of the version before" test ! -e /var/lib/perch-upgrade
halt_at systemctl '*daemon-reload*'
upgrade good >"$work/out" 2>&1 &
reached "dpkg is killed while it unpacks"
kill_dpkg
wait $! || true
go_on
check "a version is kept" test -e /var/lib/perch-upgrade/version
m systemctl disable --now perch 2>/dev/null
if upgrade good >"$work/out" 2>&1; then ok "the service disabled, an upgrade goes through"; else bad "the service disabled, an upgrade: $(cat "$work/out")"; fi
same "version" "1.0 install ok installed" "$(version)"
check "nothing is left of the version before" test ! -e /var/lib/perch-upgrade
m systemctl enable --now perch 2>/dev/null
back "it runs"
m rm -r /tmp/tree
