#!/bin/bash
# SPDX-License-Identifier: MIT
# What every operation gives the owner of a session, by each way to be bound and each way to name a file.
. "${0%/*}/matrix.sh"

up files.symlinks=allow files.special=allow
claim alice-1 alice
for way in thread process handle dirfd held; do populate "$(data alice-1)/$way" "$(data alice-1)/$way-q"; done
A=$MNT/alice-1

for way in thread process; do
	prologue=(fork 2 : must in 2 become 1000:1000 : must in 2 bind "$way" "$T/alice-1.token")
	trial "own session, $way" "$by_path" "$A/$way" "$A/$way-q" own 0
done

# The handle is the first process's; slot 2 knows its name and nothing else.
prologue=(must become 1000:1000 : must bind handle "$T/alice-1.token" : fork 2)
trial "own session, handle" "$by_path" "$MNT/%h/handle" "$MNT/%h/handle-q" own 0

prologue=(fork 2 : must in 2 become 1000:1000)
holds alice-1 "$A/dirfd"
prologue+=(: must in 2 q=open "$A/dirfd-q" O_DIRECTORY)
trial "own session, below a held directory" "$by_path" @d @q own 0

prologue=(fork 2 : must in 2 become 1000:1000)
holds alice-1 "$A/held"
prologue+=(: must in 2 b=open "$A/held-q/f" O_RDWR)
trial "own session, held descriptors" "$by_descriptor" @d "$A/held-q" own 0

finish
