#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk that is full, read-only, or gone: the caller gets the errno, and no acknowledged byte is lost.
. "${0%/*}/lib.sh"

truncate -s 24M "$T/disk"
mkfs.ext4 -q -m 0 -E lazy_itable_init=0 "$T/disk" || bail "mkfs.ext4 failed"
mkdir "$T/small"
mount -o loop "$T/disk" "$T/small" 2>/dev/null || skip_all "no loop devices here"
rmdir "$T/store"
mkdir -m 700 "$T/small/store"
ln -s small/store "$T/store"

token alice alice alice-1
token bob bob bob-1
token carol carol carol-1
A=$MNT/alice-1
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst -u 1000:1000 must bind process "$T/alice.token" : "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

# -- full ----------------------------------------------------------------------------------------------------------------
up
D=$(data alice-1)
says "a file on a disk with room" "0 0" put "$A/before" before : mkdir "$A/d"
got=$(fst -u 1000:1000 -b "process:$T/alice.token" must f=open "$A/big" O_RDWR,O_CREAT : fill @f 64K 100M : fsync @f : fill @f 4K 1M)
mapfile -t got <<<"$got"
like "a full disk is ENOSPC" "${got[0]}" '[0-9]* ENOSPC'
is "what was acknowledged can be synced" "${got[1]}" 0
like "and it stays ENOSPC" "${got[2]}" '* ENOSPC'
bytes=$((${got[0]% *} + ${got[2]% *}))
[[ ${got[2]% *} = 0 ]] || truncate -s "${got[0]% *}" "$D/big" && bytes=${got[0]% *}
says "every acknowledged byte is there" "0 $bytes" verify "$A/big" "$bytes" : stat "$A/big" size
says "other files are as they were" before get "$A/before"
fst -u 1000:1000 -b "process:$T/alice.token" must f=open "$A/filler" O_RDWR,O_CREAT : fill @f 1 64K >/dev/null
says "a write that finds no room is ENOSPC, and what was there stays" "ENOSPC before" put "$A/none" text : get "$A/before"
says "what is there can be written over" "0 BEFORE" must f=open "$A/before" O_RDWR : pwrite @f BEFORE 0 : get "$A/before"
says "what is there can be read, renamed and removed" "0 0 0" rename "$A/before" "$A/after" : unlink "$A/big" : unlink "$A/filler"
says "then there is room again" "0 text" put "$A/new" text : get "$A/new"

# -- read-only -----------------------------------------------------------------------------------------------------------
got=$(fst must fork 9 : must bind process "$T/alice.token" : must f=open "$A/new" O_RDWR : must in 9 run sync \
	: get "$A/new" : stat "$A/new" size : ls "$A")
is "before the disk turns read-only" "$got" $'text\n4\nafter d new none'
down
mount -o remount,ro "$T/small" || diag "remount failed"
up
says "a read-only store serves who is known to it" "text 4" get "$A/new" : stat "$A/new" size
says "changes are EROFS" "EROFS EROFS EROFS EROFS EROFS EROFS EROFS" put "$A/x" y : mkdir "$A/x" : unlink "$A/new" : rename "$A/new" "$A/x" \
	: chmod "$A/new" 0600 : truncate "$A/new" 0 : open "$A/new" O_RDWR
is "a new session is EROFS" "$(fst bind thread "$T/bob.token")" EROFS
down
mount -o remount,rw "$T/small"
up
says "nothing was lost" "text" get "$A/new"

# -- gone ----------------------------------------------------------------------------------------------------------------
# First a session whose directory is taken away behind the daemon's back.
is "carol is here" "$(fst -b "process:$T/carol.token" put "$MNT/carol-1/f" x : put "$MNT/carol-1/g" x)" $'0\n0'
got=$(fst must fork 9 : must bind process "$T/carol.token" : must f=open "$MNT/carol-1/g" O_RDWR : must stat "$MNT/carol-1/f" \
	: must in 9 run rm -rf "$(data carol-1)" : put "$MNT/carol-1/new" x : ls "$MNT/carol-1" : pwrite @f held 0 : pread @f 4 0)
mapfile -t got <<<"$got"
is "a session taken away: create" "${got[0]}" 'ENOENT|ESTALE'
is "a session taken away: list" "${got[1]}" 'ENOENT|ESTALE|(empty)'
is "what is open goes on" "${got[2]} ${got[3]}" "0 held"
says "the others notice nothing" "text" get "$A/new"

# Then the disk itself: the kernel's own way to cut a filesystem off.
says "written and synced before the disk goes" "0 0" must f=open "$A/synced" O_RDWR,O_CREAT : write @f synced : fsync @f
cat >"$T/shutdown" <<'END'
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 1))  # EXT4_IOC_SHUTDOWN, with the log flushed
END
if python3 "$T/shutdown" "$T/small" 2>/dev/null; then
	says "on a disk that is gone changes fail with its errno" "EIO EIO EIO" put "$A/x" y : mkdir "$A/x" : rename "$A/new" "$A/x"
	got=$(fst bind thread "$T/bob.token")
	unlike "a new session is refused" "$got" 0
	is "the mount still answers" "$(fst stat "$MNT" type : get "$MNT/.sessionfs/self")" $'dir\n{"bound":false}\\x0a'
	down
	pass "the daemon can be stopped without its disk"
	umount "$T/small"
	e2fsck -p "$T/disk" >/dev/null 2>&1
	mount -o loop "$T/disk" "$T/small"
	up
	says "what was synced is there when the disk is back" "synced text" get "$A/synced" : get "$A/new"
else
	skip "this kernel can not shut a filesystem down"
fi
finish
