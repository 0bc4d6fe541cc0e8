# shellcheck shell=bash disable=SC2154 # the variables are deb-test.sh's
# Part of deb-test.sh: images of kits. Perch is installed, runs, and has data of $device.
state=/var/lib/perch
# kept WHAT: image-prepare refuses with status 65 or 78, and nothing has gone.
kept() {
	local status=0
	m /usr/lib/perch/image-prepare >"$work/out" 2>&1 || status=$?
	case $status in 65 | 78) ok "$1 is refused" ;; *) bad "$1 goes unnoticed: status $status" ;; esac
	check "and all is where it was" sh -c "test -s $state/perch.db -a -s $state/uploads/client.mp4 && grep -qx '$device' $state/device-id"
}
msh "mkdir -p $state/uploads $state/workflow-files $state/workflows; echo x | tee $state/uploads/client.mp4 $state/workflow-files/out.csv >$state/workflows/mine.json; chown -R perch: $state"
msh 'cp -a /etc/perch/perch.yaml /tmp/keep; sed "s/^# edited.*/device:\n  id: \"kit\"/" -i /etc/perch/perch.yaml'
kept "an id in quotes"
msh 'cp -a /tmp/keep /etc/perch/perch.yaml; printf "mqtt: {url: \"mqtt://u:hunter2@192.0.2.1\"}\n" >>/etc/perch/perch.yaml'
kept "a password in a URL"
if grep -q hunter2 "$work/out"; then bad "and is shown"; else ok "and is not shown"; fi
msh 'cp -a /tmp/keep /etc/perch/perch.yaml; echo "PERCH_DEVICE_ID=kit" >/etc/default/perch'
kept "an id in /etc/default/perch"
msh 'echo "nonsense: 1" >>/etc/perch/perch.yaml; rm /etc/default/perch'
kept "a configuration that is wrong"
msh 'cp -a /tmp/keep /etc/perch/perch.yaml'
check "prepares an image" /usr/lib/perch/image-prepare
same "what is left is not of this device" "mine.json" "$(m find $state -type f ! -path "$state/try/*" ! -path "$state/.cache/*" ! -name '*.lock' -printf '%f\n')"
m systemctl start perch
if [ "$(m cat $state/device-id)" != "$device" ]; then ok "another device after the next start"; else bad "the same device after image-prepare"; fi

echo "== an image with its data elsewhere"
msh 'install -d -o perch -g perch /var/lib/perch/disk; printf "PERCH_DATA_DIR=\"/var/lib/perch/disk\"\n" >/etc/default/perch; systemctl restart perch'
within 10 "it runs" "$active && test -s $state/disk/device-id -a -s $state/disk/perch.db"
check "prepares an image" /usr/lib/perch/image-prepare
same "nothing of this device is left there or in the usual place" "mine.json" "$(m find $state -type f ! -path "$state/try/*" ! -path "$state/.cache/*" ! -name '*.lock' -printf '%f\n')"
msh 'rm -r /etc/default/perch /var/lib/perch/disk; systemctl start perch'

echo "== an image whose copies ask for an owner"
msh 'cp /usr/share/perch/perch.yaml /etc/perch/perch.yaml'
msh 'head -c -1 >/etc/default/perch' <<'C'
PERCH_DEVICE_NAME="bench  \$7"
C
check "prepares it" /usr/lib/perch/image-prepare --claim
check "the conffile is as it came" cmp /usr/share/perch/perch.yaml /etc/perch/perch.yaml
check "prepares it again" /usr/lib/perch/image-prepare --claim
same "it is said once" 1 "$(m grep -c '^PERCH_HTTP_CLAIM=true$' /etc/default/perch)"
m systemctl start perch
within 10 "such a copy runs" "curl -sf localhost:8080/readyz"
same "and shows nothing before it is claimed" 403 "$(m curl -s -o /dev/null -w '%{http_code}' localhost:8080/api/v1/status)"
same "perch claim knows it" "This device waits for an owner: open its page and claim it." "$(m perch claim)"
check "it is claimed" sh -c "curl -sf -d '{\"name\":\"\"}' localhost:8080/api/v1/claim | grep -q token"
same "then it shows what it does" 200 "$(m curl -s -o /dev/null -w '%{http_code}' localhost:8080/api/v1/status)"
same "a name that was written there is read alike by systemd and by hand" 2 "$(msh '{ curl -s localhost:8080/api/v1/status; echo; perch check --show; } | grep -cF "bench  \$7"')"
same "and obeys its owner only" 401 "$(m curl -s -o /dev/null -w '%{http_code}' -X DELETE localhost:8080/api/v1/runs/x)"
