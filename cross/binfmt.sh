# shellcheck shell=bash
# Read by other scripts: lets this machine's kernel start arm64 programs with
# qemu-user, in a chroot too, for as long as the script runs.

binfmt=/proc/sys/fs/binfmt_misc
binfmt_mounted="" binfmt_registered=""

# binfmt_arm64 changes only what is missing; when it fails it prints why.
binfmt_arm64() {
	local conf=/usr/lib/binfmt.d/qemu-aarch64.conf handler
	if [ ! -e $binfmt/register ]; then
		mount -t binfmt_misc binfmt_misc $binfmt 2>/dev/null || { echo "the kernel has no binfmt_misc here, or may not be asked for it"; return 1; }
		binfmt_mounted=1
	fi
	# Whoever registered it, under whatever name: the first bytes of an arm64 program.
	handler=$(grep -lsx 'magic 7f454c460201010000000000000000000200b700' $binfmt/* || true)
	if [ -n "$handler" ]; then
		# Without the flag F the emulator is looked for within a chroot.
		if grep -qx enabled "$handler" && grep -q '^flags:.*F' "$handler"; then return 0; fi
		echo "the handler for arm64 programs in $handler is not enabled, or lacks the flag F"
		return 1
	fi
	[ -f $conf ] || { echo "$conf is missing: apt-get install qemu-user-static"; return 1; }
	if ! (cat $conf >$binfmt/register) 2>/dev/null; then
		echo "the kernel takes no handler for arm64 programs here ($binfmt/register)"
		return 1
	fi
	binfmt_registered=1
}

# binfmt_undo takes away what binfmt_arm64 brought.
binfmt_undo() {
	[ -z "$binfmt_registered" ] || echo -1 >$binfmt/qemu-aarch64
	[ -z "$binfmt_mounted" ] || umount $binfmt
	binfmt_registered="" binfmt_mounted=""
}
