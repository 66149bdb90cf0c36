#!/bin/bash
# SPDX-License-Identifier: MIT
# cache = shared: what one instance did, the next use of a name on another sees; and an owner whose names are looked up at
# each use notices no more of a foreign caller than before.
. "${0%/*}/matrix.sh"

up files.symlinks=allow files.special=allow files.cache=shared
claim alice-1 alice
claim bob-1 bob
token mallory mallory alice-1
A=$MNT/alice-1 B=$MNT/bob-1
populate "$(data alice-1)"/{warm,own,own-q} "$(data bob-1)/mine"

# ---- as with private: see foreign.t and own.t ----

owner alice-1 "$A/warm"
caller
prologue+=(: must in 2 bind thread "$T/bob-1.token")
trial "shared, another session" "$by_path" "$A/warm" "$B/mine" EACCES 1

owner alice-1 "$A/warm"
caller
trial "shared, unbound" "$by_path" "$A/warm" "$A/warm" ENOKEY 1

owner alice-1 "$A/warm"
caller
holds alice-1 "$A/warm"
prologue+=(: must in 2 bind @c "$T/bob-1.token" : must in 2 b=open "$B/mine/f" O_RDWR)
trial "shared, another session, below a held directory" "$by_path" @d "$B/mine" EACCES 1
trial "shared, another session, held descriptors" "$by_descriptor" @d "$B/mine" EACCES 1

prologue=(fork 2 : must in 2 become 1000:1000 : must in 2 bind thread "$T/alice-1.token")
trial "shared, own session" "$by_path" "$A/own" "$A/own-q" own 0

# ---- another instance ----

ONE=$MNT
second files.cache=shared

# Slot 1 is bound to alice's session on the first mount, slot 2 on the second. No `until`: the very next use must see it.
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst -u 1000:1000 must fork 1 : must fork 2 : must in 1 bind process "$T/alice-1.token" \
		: must in 2 c=open "$TWO/.sessionfs/process" O_RDWR,O_CLOEXEC : must in 2 bind @c "$T/alice-1.token" : "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}
one=$ONE/alice-1/x two=$TWO/alice-1/x
says "a directory that one makes, the other has" "dir" must in 1 mkdir "$one" : in 2 stat "$two" type
says "what one writes, the other's next open reads" "first second third" \
	must in 1 put "$one/f" first : in 2 get "$two/f" : must in 1 put "$one/f" second : in 2 get "$two/f" : must in 2 put "$two/f" third : in 1 get "$one/f"
says "the size that one leaves, the other's next stat gives" "5 9" \
	in 2 stat "$two/f" size : must in 1 put "$one/f" 'nine more' : in 2 stat "$two/f" size
says "what one renames away is gone from the other" "0 ENOENT nine more" \
	must in 1 get "$one/f" : in 2 rename "$two/f" "$two/g" : in 1 get "$one/f" : in 1 get "$one/g"
says "what one renames over another, the other has at once" "new" \
	must in 1 put "$one/f" old : must in 1 get "$one/f" : must in 2 put "$two/n" new : must in 2 rename "$two/n" "$two/f" : in 1 get "$one/f"
says "what one renames over another while it is open is a new file at the next open, and the old one where it is open" \
	"old newer" must in 1 put "$one/f" old : must in 1 o=open "$one/f" O_RDONLY : must in 2 put "$two/n" newer \
	: must in 2 rename "$two/n" "$two/f" : in 1 read @o 9 : in 1 get "$one/f"
says "what one removes, the other does not find" "ENOENT ENOENT" \
	must in 1 stat "$one/f" : must in 2 unlink "$two/f" : in 1 stat "$one/f" : in 1 open "$one/f" O_RDWR
says "what one removes and makes anew, the other has anew" "1 anew" \
	must in 1 put "$one/f" old : must in 1 stat "$one/f" : must in 2 unlink "$two/f" : must in 2 put "$two/f" anew \
	: in 1 stat "$one/f" nlink : in 1 get "$one/f"
says "a directory that one replaces is the new one for the other, and so is what is in it" "in the new one ENOENT" \
	must in 1 mkdir "$one/d" : must in 1 put "$one/d/f" 'in the old one' : must in 1 get "$one/d/f" : must in 2 rename "$two/d" "$two/e" \
	: must in 2 mkdir "$two/d" : must in 2 put "$two/d/h" 'in the new one' : in 1 get "$one/d/h" : in 1 get "$one/d/f"
says "a listing shows what the other did, and O_EXCL finds what the other removed gone" "d e f g 0" must in 2 unlink "$two/g" : must in 2 put "$two/g" g : in 1 ls "$one" \
	: must in 1 put "$one/both" 1 : must in 2 unlink "$two/both" : in 1 open "$one/both" O_RDONLY,O_CREAT,O_EXCL
for m in $(below "$ONE/"); do umount "$m"; done # what owner() mounted: the names are about to go
rm -rf "$(data alice-1)"/*
says "a <sid> that one removes is gone for the other, and the next bind makes it again" "self ENOENT 0 dir" \
	must in 1 rmdir "$ONE/alice-1" : in 2 ls "$TWO" : in 2 stat "$TWO/alice-1" \
	: in 2 bind @c "$T/alice-1.token" : in 1 stat "$ONE/alice-1" type

# ---- dropped elsewhere, and made anew under the same name by somebody else ----

token bob-alice bob alice-1
got=$(fst must fork 1 : must fork 2 : must in 1 become 1000:1000 : must in 1 bind process "$T/alice-1.token" : must in 1 put "$ONE/alice-1/secret" "alice's" \
	: must x=open "$TWO/.sessionfs/admin" O_WRONLY : must control @x 'drop alice-1\n' \
	: must in 2 become 1000:1000 : must in 2 c=open "$TWO/.sessionfs/process" O_RDWR,O_CLOEXEC : must in 2 bind @c "$T/bob-alice.token" \
	: must in 2 put "$TWO/alice-1/secret" "bob's" : in 1 get "$ONE/alice-1/secret" : in 2 get "$TWO/alice-1/secret" \
	: until EKEYREVOKED in 1 get "$ONE/alice-1/secret")
like "who is bound to a session that was dropped and made anew elsewhere never sees the new one" "${got//$'\n'/ }" \
	"@(alice's|ENOENT|ESTALE|EKEYREVOKED) bob's EKEYREVOKED"

stop_second
finish
