#!/bin/bash
# Reads what a program needs from the system, prints it as a table, and fails when
# that is more than the oldest supported system (JetPack 6: Ubuntu 22.04) has:
#   - a symbol of glibc newer than 2.35, of GStreamer newer than 1.20.3, of GLib
#     newer than 2.72, or one of which nobody knows when it came
#   - a dynamic library that is not in libraries.txt
# Which version brought a symbol stands in the symbols files of Debian's packages.
#   cross/check.sh PROGRAM SYMBOLS_FILE...
set -euo pipefail
program=${1:?usage: check.sh PROGRAM SYMBOLS_FILE...}
shift
[ $# -gt 0 ] || { echo "check.sh: which symbols files?" >&2; exit 64; }
here=$(dirname "$(realpath "$0")")
case $(readelf -h "$program" | sed -n 's/^ *Machine: *//p') in
AArch64 | *X86-64) ;;
*) echo "check.sh: $program is not a program for arm64 or amd64" >&2; exit 65 ;;
esac

echo "$program"
failed=0
while read -r lib; do
	if grep -qxF "$lib" "$here/libraries.txt"; then
		printf '  needs %s\n' "$lib"
	else
		printf '  needs %s: NOT IN cross/libraries.txt\n' "$lib"
		failed=1
	fi
done < <(readelf -dW "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')

# A weak symbol may be absent; the program does without it.
readelf --dyn-syms -W "$program" |
	awk '$7 == "UND" && $5 != "WEAK" && $8 != "" { print $8 }' |
	awk '
	# a > b, as versions of numbers and dots
	function newer(a, b,   x, y, n, m, i) {
		n = split(a, x, "."); m = split(b, y, ".")
		for (i = 1; i <= n || i <= m; i++) if (x[i] + 0 != y[i] + 0) return x[i] + 0 > y[i] + 0
		return 0
	}
	function count(lib, version, limit) {
		total[lib]++; limits[lib] = limit
		if (!(lib in newest) || newer(version, newest[lib])) newest[lib] = version
	}
	BEGIN {
		limit["glib"] = "2.72"; limit["gstreamer"] = "1.20.3"
	}
	FILENAME != "-" {
		if ($0 ~ /^[^ *|]/) lib = $1 ~ /^libgst/ ? "gstreamer" : $1 ~ /^lib(glib|gobject|gio|gmodule|gthread)-/ ? "glib" : ""
		else if (lib != "" && $1 ~ /@/) {
			split($1, at, "@"); since[at[1]] = $2; of[at[1]] = lib
			sub(/[^0-9.].*/, "", since[at[1]])
		}
		next
	}
	/@GLIBC_[0-9.]+$/ {
		v = $0; sub(/.*@GLIBC_/, "", v); count("glibc", v, "2.35")
		if (newer(v, "2.35")) { print "  glibc: " $0 " IS NEWER THAN 2.35"; bad = 1 }
		next
	}
	{
		name = $0; sub(/@.*/, "", name)
		if (!(name in since)) { print "  " $0 ": NOBODY KNOWS WHERE IT COMES FROM"; bad = 1; next }
		lib = of[name]; count(lib, since[name], limit[lib])
		if (newer(since[name], limit[lib])) { print "  " lib ": " name " IS NEWER THAN " limit[lib] ", it came with " since[name]; bad = 1 }
	}
	END {
		if (!("glibc" in total)) { print "  no symbol of glibc: was this file read?"; bad = 1 }
		printf "  %-10s %8s  %-8s %s\n", "library", "symbols", "newest", "allowed"
		n = split("glibc glib gstreamer", order, " ")
		for (i = 1; i <= n; i++) if (order[i] in total)
			printf "  %-10s %8d  %-8s %s\n", order[i], total[order[i]], newest[order[i]], limits[order[i]]
		exit bad
	}' "$@" - || failed=1
[ $failed = 0 ] && echo "  good"
exit $failed
