#!/bin/bash
# SPDX-License-Identifier: MIT
# Two daemons over one store serve the same sessions.
. "${0%/*}/lib.sh"

up
ONE=$MNT
second
token alice alice alice-1
token mallory mallory alice-1

# Slot 1 is bound here, slot 2 there: the driver binds below -m, so slot 2 opens its control file itself.
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst -u 1000:1000 must fork 1 : must fork 2 : must in 1 bind process "$T/alice.token" : must in 2 c=open "$TWO/.sessionfs/process" O_RDWR,O_CLOEXEC \
		: must in 2 bind @c "$T/alice.token" : "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

says "what one instance writes the other reads" "0 one 0 two" in 1 put "$ONE/alice-1/f" one : in 2 get "$TWO/alice-1/f" : in 2 put "$TWO/alice-1/g" two \
	: in 1 get "$ONE/alice-1/g"
says "what one instance makes where the other has looked, it sees" new must in 1 ls "$ONE/alice-1" : must in 2 put "$TWO/alice-1/new" new \
	: until new in 1 get "$ONE/alice-1/new"
says "what one instance removes is gone from the other" ENOENT must in 1 stat "$ONE/alice-1/new" : must in 2 unlink "$TWO/alice-1/new" \
	: until ENOENT in 1 stat "$ONE/alice-1/new"
says "what one instance renames over another, the other sees" "two" must in 1 get "$ONE/alice-1/f" : must in 1 get "$ONE/alice-1/g" \
	: must in 2 rename "$TWO/alice-1/g" "$TWO/alice-1/f" : until two in 1 get "$ONE/alice-1/f"
says "a binding is with one instance alone" ENOKEY in 1 stat "$TWO/alice-1"
is "a session id belongs to its first user on every instance" "$(fst -m "$TWO" bind thread "$T/mallory.token")" EKEYREJECTED
is "a session that one instance revokes is revoked for the other" "$(fst must fork 1 : must in 1 c=open "$TWO/.sessionfs/thread" O_RDWR,O_CLOEXEC \
	: must in 1 bind @c "$T/alice.token" : must x=open "$ONE/.sessionfs/admin" O_WRONLY : must control @x 'revoke alice-1\n' \
	: until EKEYREVOKED in 1 stat "$TWO/alice-1")" EKEYREVOKED
stop_second
finish
