# shellcheck shell=bash disable=SC2154 # the variables are deb-test.sh's
# Part of deb-test.sh: the service says of the clock what this system knows of it.
# Whether the kernel may be asked at all is machine.sh's work.
check "root may ask for the clock" sh -c 'perch doctor --json | tr -d "\n" | grep -E "\"name\": \"clock\"[^}]*synchronised"'
knows=$(m timedatectl show -p NTPSynchronized --value)
[ "$knows" = yes ] && knows=true || knows=false
same "the service's clock_trusted" "\"trusted\":$knows" "$(m curl -s localhost:8080/api/v1/status | grep -oE '"trusted":(true|false)')"
same "which it was allowed to ask for" "" "$(m curl -s localhost:8080/api/v1/status | grep -oE '"clock":\{[^}]*"error":"[^"]*"')"
check "the journal has nothing against it" sh -c '! journalctl -u perch -o cat --no-pager | grep "times cannot be trusted"'
