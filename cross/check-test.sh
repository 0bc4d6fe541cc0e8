#!/bin/bash
# Shows that check.sh lets a good program through and stops each kind of bad one.
# The programs are made with this machine's compiler; Debian 12 has newer symbols
# than we allow, which is what it takes.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
symbols=(/var/lib/dpkg/info/libgstreamer*.symbols /var/lib/dpkg/info/libglib2*.symbols)
failures=0

# try WANT NAME TEXT: compiles standard input; WANT is 0 or 1, TEXT must be printed.
try() {
	cat >"$work/$2.c"
	# shellcheck disable=SC2046 # flags
	gcc -w -o "$work/$2" "$work/$2.c" ${4:-} $(pkg-config --cflags --libs gstreamer-1.0)
	local got=0
	"$here/check.sh" "$work/$2" "${symbols[@]}" >"$work/out" 2>&1 || got=1
	if [ "$got" = "$1" ] && grep -qF "$3" "$work/out"; then
		echo "ok   $2"
	else
		echo "FAIL $2: exit $got, wanted $1 and '$3':"
		cat "$work/out"
		failures=1
	fi
}

try 0 good "good" <<'C'
#include <gst/gst.h>
int main(int n, char **v) { gst_init(&n, &v); return 0; }
C
try 1 new-glibc "glibc: arc4random@GLIBC_2.36 IS NEWER THAN 2.35" <<'C'
#include <gst/gst.h>
#include <stdlib.h>
int main(int n, char **v) { gst_init(&n, &v); return arc4random(); }
C
try 1 new-gstreamer "gstreamer: gst_debug_message_get_id IS NEWER THAN 1.20.3" <<'C'
#include <gst/gst.h>
int main(int n, char **v) { return gst_debug_message_get_id(0) != 0; }
C
try 0 mended "good" "-include $here/gstcompat.h" <<'C'
#include <gst/gst.h>
int main(int n, char **v) { gst_init(&n, &v); return gst_debug_message_get_id(0) != 0; }
C
try 1 new-glib "glib: g_file_make_symbolic_link_async IS NEWER THAN 2.72" "$(pkg-config --cflags --libs gio-2.0)" <<'C'
#include <gst/gst.h>
#include <gio/gio.h>
int main(int n, char **v) { g_file_make_symbolic_link_async(0, "", 0, 0, 0, 0); return 0; }
C
echo 'int of_nobody(void) { return 0; }' | gcc -shared -fPIC -x c -o "$work/libnobody.so" -
try 1 unknown "of_nobody: NOBODY KNOWS WHERE IT COMES FROM" "$work/libnobody.so" <<'C'
#include <gst/gst.h>
int of_nobody(void);
int main(int n, char **v) { gst_init(&n, &v); return of_nobody(); }
C
try 1 other-library "needs libcrypt.so.1: NOT IN cross/libraries.txt" "-Wl,--no-as-needed -lcrypt" <<'C'
#include <gst/gst.h>
int main(int n, char **v) { gst_init(&n, &v); return 0; }
C
echo "not a program" >"$work/text"
if "$here/check.sh" "$work/text" "${symbols[@]}" >/dev/null 2>&1; then
	echo "FAIL text: passed"
	failures=1
else
	echo "ok   text"
fi
exit $failures
