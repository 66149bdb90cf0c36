#!/bin/bash
# SPDX-License-Identifier: MIT
# names = hidden: the same errno everywhere, also where the kernel would answer by itself.
. "${0%/*}/matrix.sh"

up files.symlinks=allow files.special=allow files.names=hidden
claim alice-1 alice
claim bob-1 bob
A=$MNT/alice-1 B=$MNT/bob-1
populate "$(data alice-1)/warm" "$(data bob-1)/mine" "$(data alice-1)"/own{,-q}

# What the owner looks up and opens is live; his names are not spared here, so nobody watches him.
lookups() {
	prologue=(fork 1 : must in 1 become 1000:1000 : must in 1 bind thread "$T/alice-1.token"
		: must in 1 o=open "$A/warm/f" O_RDWR)
	for name in f g d d/inner e l p; do prologue+=(: must in 1 lstat "$A/warm/$name"); done
	watch=(: in 1 pread @o 7 0 : in 1 stat "$A/warm/f" size)
	unmoved=(content 7)
}

lookups
caller
prologue+=(: must in 2 bind thread "$T/bob-1.token")
trial "hidden names, another session" "$by_path" "$A/warm" "$B/mine" EACCES 0

lookups
caller
trial "hidden names, unbound" "$by_path" "$A/warm" "$A/warm" ENOKEY 0

prologue=(fork 2 : must in 2 become 1000:1000 : must in 2 bind thread "$T/alice-1.token")
trial "hidden names, own session" "$by_path" "$A/own" "$A/own-q" own 0

finish
