#!/bin/bash
# SPDX-License-Identifier: MIT
# A store on a filesystem that lacks what a store rests on is refused at start, by one line that says what, and nothing is
# left there; see deficient.c.
. "${0%/*}/lib.sh"

DEFICIENT=$BUILD/tests/fstest/deficient
[[ -x $DEFICIENT ]] || bail "$DEFICIENT is not built"
mkdir "$T/below" "$T/fs"

# on DEFECT: a filesystem with that defect at $T/fs, with an empty store in it.
on() {
	rm -rf "$T/below/store"
	mkdir -m 700 "$T/below/store"
	"$DEFICIENT" "$1" "$T/below" "$T/fs" >"$T/fs.log" 2>&1 &
	FS=$!
	await mounted "$T/fs" || bail "deficient does not mount: $(<"$T/fs.log")"
}
off() {
	umount "$T/fs"
	await gone "$FS"
}

refused() {
	local defect=$1 line=$2 status
	on "$defect"
	start -c "$T/conf" "$T/fs/store" "$MNT"
	status=$?
	is "$defect: the daemon does not start" "$status" 1
	is "$defect: and says why in one line" "$(<"$T/log")" "sessionfs: $T/fs/store: a store can't be on this filesystem: $line"
	is "$defect: nothing is mounted, and nothing left" "$(mounted && echo mounted; ls -A "$T/below/store")" ""
	off
}

refused link "it has no hard links: Operation not permitted" # the kernel makes it of ENOSYS
refused nlink "it does not count a file's links"
refused replace "rename does not replace a file: File exists"
refused shadow "rename does not replace a file"
refused merge "rename replaces a directory that has something in it"
refused fsync "writing and fsync of a file: Invalid argument"
refused fsyncdir "a directory can't be synced: Invalid argument"
refused mode "it keeps no file modes"
refused owner "it keeps no file owners"
refused squash "it keeps no file owners (or root is not root there: no_root_squash): Operation not permitted"
refused case "names that differ in case alone are one file there"

# The same filesystem without a defect will do.
on none
rm -rf "$T/store"
ln -s fs/store "$T/store"
token alice alice alice-1
up
is "none: a session works there" "$(fst -b "process:$T/alice.token" put "$MNT/alice-1/f" text : get "$MNT/alice-1/f")" $'0\ntext'
is "none: what was tried is gone" "$(find "$T/below/store" -name '.tmp-*')" ""
down
off

# A store that was good stays so where nothing can be tried.
mkdir "$T/small"
mount -t tmpfs -o size=1m,nr_inodes=800,mode=755 small "$T/small" || bail "no tmpfs"
rm "$T/store"
mkdir -m 700 "$T/small/store"
ln -s small/store "$T/store"
up
is "a session on a small disk" "$(fst -b "process:$T/alice.token" put "$MNT/alice-1/f" text)" 0
down
cat /dev/zero >"$T/small/filler" 2>/dev/null
for ((i = 0; i < 800; i++)); do : >"$T/small/$i" || break; done 2>/dev/null
up
is "a full disk: the daemon starts, and reads" "$(fst -b "process:$T/alice.token" get "$MNT/alice-1/f")" text
down
mount -o remount,ro "$T/small"
up
is "a read-only disk: the daemon starts, and reads" "$(fst -b "process:$T/alice.token" get "$MNT/alice-1/f")" text
down
umount "$T/small"
finish
