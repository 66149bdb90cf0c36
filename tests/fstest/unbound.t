#!/bin/bash
# SPDX-License-Identifier: MIT
# What every operation gives a caller who is not bound.
. "${0%/*}/matrix.sh"

up files.symlinks=allow files.special=allow
claim alice-1 alice
claim carol-1 carol
A=$MNT/alice-1
populate "$(data alice-1)"/{warm,cold} "$(data carol-1)/warm"

owner alice-1 "$A/warm"
caller
trial "unbound, names that the kernel holds" "$by_path" "$A/warm" "$A/warm" ENOKEY 1

owner alice-1 "$A/warm"
prologue+=(: must in 1 stat "$A/cold")
caller
trial "unbound, a directory that the kernel holds" "$by_path" "$A/cold" "$A/cold" ENOKEY 0
trial "unbound, a session that nobody uses" "$by_path" "$MNT/carol-1/warm" "$MNT/carol-1/warm" ENOKEY 0

owner alice-1 "$A/warm"
caller
holds alice-1 "$A/warm"
prologue+=(: must in 2 b=open "$A/warm/g" O_RDWR : must in 2 unbind @c)
trial "unbound, below a held directory" "$by_path" @d "$A/warm" ENOKEY 1
trial "unbound, held descriptors" "$by_descriptor" @d "$A/warm" ENOKEY 1

# A handle's name is worth nothing once it is closed, and the kernel is told to forget it.
owner alice-1 "$A/warm"
caller
prologue+=(: must in 2 h=bind handle "$T/alice-1.token")
for name in f g d d/inner e l p; do prologue+=(: must in 2 lstat "$MNT/%h/warm/$name"); done
prologue+=(: must in 2 close @h : until ENOKEY in 2 lstat "$MNT/%h")
trial "a handle that was closed" "$by_path" "$MNT/%h/warm" "$MNT/%h/warm" ENOKEY 0

finish
