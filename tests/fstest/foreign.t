#!/bin/bash
# SPDX-License-Identifier: MIT
# What every operation gives a caller who is bound to another session: and nothing changes, and the owner notices nothing.
. "${0%/*}/matrix.sh"

up files.symlinks=allow files.special=allow
claim alice-1 alice
claim bob-1 bob
claim carol-1 carol
A=$MNT/alice-1 B=$MNT/bob-1
populate "$(data alice-1)"/{warm,cold} "$(data bob-1)/mine" "$(data carol-1)/warm"

owner alice-1 "$A/warm"
caller
prologue+=(: must in 2 bind thread "$T/bob-1.token")
trial "another session, names that the kernel holds" "$by_path" "$A/warm" "$B/mine" EACCES 1

owner alice-1 "$A/warm"
prologue+=(: must in 1 stat "$A/cold")
caller
prologue+=(: must in 2 bind thread "$T/bob-1.token")
trial "another session, a directory that the kernel holds" "$by_path" "$A/cold" "$B/mine" EACCES 0

trial "another session that nobody uses" "$by_path" "$MNT/carol-1/warm" "$B/mine" EACCES 0

owner alice-1 "$A/warm"
caller
prologue+=(: must in 2 bind process "$T/bob-1.token")
trial "another session, by a process binding" "$by_path" "$A/warm" "$B/mine" EACCES 1

owner alice-1 "$A/warm"
caller
holds alice-1 "$A/warm"
prologue+=(: must in 2 bind @c "$T/bob-1.token" : must in 2 b=open "$B/mine/f" O_RDWR)
trial "another session, below a held directory" "$by_path" @d "$B/mine" EACCES 1
trial "another session, held descriptors" "$by_descriptor" @d "$B/mine" EACCES 1

# A handle is no way round: who is bound to another session is refused there too.
owner alice-1 "$A/warm"
caller
prologue+=(: must in 2 h=bind handle "$T/alice-1.token")
for name in f g d d/inner e l p; do prologue+=(: must in 2 lstat "$MNT/%h/warm/$name"); done
prologue+=(: must in 2 c=bind thread "$T/bob-1.token")
trial "the handle of another session" "$by_path" "$MNT/%h/warm" "$B/mine" EACCES 1

finish
