#!/bin/bash
# SPDX-License-Identifier: MIT
# io = strict: reads on a descriptor opened read-only come to the daemon too.
. "${0%/*}/matrix.sh"

reads='
read, opened O_RDONLY                      |read @f 7                              |content
pread, opened O_RDONLY                     |pread @f 7 0                           |content
sendfile, opened O_RDONLY                  |sendfile @f @b 7                       |7
'

# First as it is by default, so that the difference is seen to be made by the setting.
up files.symlinks=allow files.special=allow
claim alice-1 alice
claim bob-1 bob
A=$MNT/alice-1 B=$MNT/bob-1
populate "$(data alice-1)"/{warm,own,own-q} "$(data bob-1)/mine"
leak=(: must in 2 bind @c "$T/bob-1.token" : must in 2 b=open "$B/mine/f" O_RDWR)

prologue=(fork 2 : must in 2 become 1000:1000)
holds alice-1 "$A/warm"
is "guarded: a descriptor opened read-only is read on, as SECURITY says" \
	"$(fst "${prologue[@]}" "${leak[@]}" : in 2 pread @f 7 0 | tail -1)" content
down

up files.symlinks=allow files.special=allow files.io=strict
owner alice-1 "$A/warm"
caller
holds alice-1 "$A/warm"
prologue+=("${leak[@]}")
trial "strict, another session" "$reads$by_descriptor" @d "$B/mine" EACCES 1

owner alice-1 "$A/warm"
caller
holds alice-1 "$A/warm"
prologue+=(: must in 2 b=open "$A/warm/g" O_RDWR : must in 2 unbind @c)
trial "strict, unbound" "$reads$by_descriptor" @d "$A/warm" ENOKEY 1

prologue=(fork 2 : must in 2 become 1000:1000)
holds alice-1 "$A/own"
prologue+=(: must in 2 b=open "$A/own-q/f" O_RDWR)
trial "strict, own session" "${reads/read @f 7 /pread @f 7 0 }$by_descriptor" @d "$A/own-q" own 0

# What is stored through a shared map comes to the daemon in nobody's name: rather no such map than lost bytes.
is "strict: a file can be mapped privately, and not shared" "$(fst -u 1000:1000 -b "thread:$T/alice-1.token" must f=open "$A/warm/f" O_RDONLY \
	: mmap @f p 0 7 : mmap @f r 0 7 : must w=open "$A/warm/g" O_RDWR : mmap @w w 0 mapped)" $'content\nENODEV\nENODEV'
is "strict: a held file that its owner had mapped can not be mapped and read by another" "$(fst -u 1000:1000 must c=bind thread "$T/alice-1.token" \
	: must f=open "$A/warm/f" O_RDONLY : mmap @f p 0 7 : must bind @c "$T/bob-1.token" : mmap @f p 0 7)" $'content\nSIGBUS'

finish
