#!/bin/bash
# SPDX-License-Identifier: MIT
# Symlinks and special files: zip archives plant them.
. "${0%/*}/lib.sh"

says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst -u 1000:1000 must bind thread "$T/alice.token" : "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

token alice alice alice-1
token bob bob bob-1
A=$MNT/alice-1 B=$MNT/bob-1
echo secret >"$T/outside"
chmod 644 "$T/outside"

up
says "by default a symlink can not be made: EPERM" EPERM symlink f "$A/link"
says "by default special files can not be made: EPERM" "EPERM EPERM EPERM EPERM" \
	mknod "$A/s" fifo : mknod "$A/s" sock : mknod "$A/s" char : mknod "$A/s" block
says "a plain file can be made by mknod" "0 file" mknod "$A/s" file : stat "$A/s" type
is "by default root can make no device either" "$(fst -b "thread:$T/alice.token" mknod "$A/c" char)" EPERM
is "bob leaves a file" "$(fst -u 1000:1000 -b "thread:$T/bob.token" put "$B/f" bob)" 0

# Planted where the daemon did not forbid them.
D=$(data alice-1)
ln -s "$T/outside" "$D/out"
ln -s ../bob-1/f "$D/next-door"
chown -h 1000:1000 "$D"/{out,next-door}
says "by default a planted symlink can not be read or followed: EPERM" "EPERM EPERM EPERM" \
	readlink "$A/out" : get "$A/out" : get "$A/next-door"
says "what is planted can be removed" "0 0" unlink "$A/out" : unlink "$A/next-door"
down

up files.symlinks=allow
says "where allowed a symlink is made, read and followed" "0 f 0 content link" \
	symlink f "$A/link" : readlink "$A/link" : put "$A/f" content : get "$A/link" : lstat "$A/link" type
says "a symlink into another session leads to a refusal" "0 EACCES" symlink ../bob-1/f "$A/there" : get "$A/there"
says "a symlink is followed by the caller, not by the daemon: it can not leave the caller's rights" "0 EACCES" \
	symlink "$T/store/FORMAT" "$A/store" : get "$A/store"
says "special files stay forbidden" EPERM mknod "$A/p" fifo
says "a file can not be created through a dangling link into another session" "0 EACCES" \
	symlink ../bob-1/new "$A/dangling" : put "$A/dangling" x
down

up files.special=allow
says "where allowed a fifo and a socket are made" "0 fifo 0 sock" \
	mknod "$A/p" fifo : stat "$A/p" type : mknod "$A/k" sock : stat "$A/k" type
says "symlinks stay forbidden" EPERM symlink f "$A/l2"
says "a fifo carries bytes" "0 through" must r=open "$A/p" O_RDONLY,O_NONBLOCK : must w=open "$A/p" O_WRONLY : write @w through : read @r 7
is "a device is made by root, and can not be opened: the mount is nodev" \
	"$(fst -b "thread:$T/alice.token" mknod "$A/null" char : open "$A/null" O_RDONLY)" $'0\nEACCES'
is "a user can make no device: EPERM" "$(fst -u 1000:1000 -b "thread:$T/alice.token" mknod "$A/zero" char)" EPERM
down
finish
