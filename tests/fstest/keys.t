#!/bin/bash
# SPDX-License-Identifier: MIT
# Keys come and go while the daemon runs: rotation.
. "${0%/*}/lib.sh"

up
token old alice alice-1
forged new alice alice-1 # by a key that is not trusted yet
A=$MNT/alice-1
reload=(must in 9 x=open "$MNT/.sessionfs/admin" O_WRONLY : in 9 control @x 'reload\n')
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst must fork 9 : must become 1000:1000 : "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

says "a key that is not there yet is not trusted" EKEYREJECTED bind thread "$T/new.token"
cp "$T/forger/issuer.pub" "$T/keys.d/second.pub"
says "a new key counts from the reload on" "EKEYREJECTED 0 0" bind thread "$T/new.token" : "${reload[@]}" : bind thread "$T/new.token"
says "several keys are trusted at once" "0 0" bind thread "$T/new.token" : bind thread "$T/old.token"

rm "$T/keys.d/issuer.pub"
says "a binding by a key that was taken away ends with the reload, another does not" "dir dir 0 ENOKEY dir ENOKEY" \
	must thread 1 : must bind thread "$T/old.token" : must in 1 bind thread "$T/new.token" : must h=bind handle "$T/old.token" \
	: stat "$A" type : in 1 stat "$A" type : "${reload[@]}" : stat "$A" type : in 1 stat "$A" type : stat "$MNT/%h"
says "a token by a key that was taken away is refused, also one that was seen before" EKEYREJECTED bind thread "$T/old.token"

echo garbage >"$T/keys.d/third.pub"
got=$(fst must x=open "$MNT/.sessionfs/admin" O_WRONLY : control @x 'reload\n')
unlike "a reload with a broken key fails" "$got" 0
says "and the keys stay as they were" "0 EKEYREJECTED" bind thread "$T/new.token" : bind thread "$T/old.token"
rm "$T/keys.d/third.pub"
cp "$T/issuer/issuer.pub" "$T/keys.d/"
kill -HUP "$DAEMON"
says "SIGHUP reloads too" 0 until 0 bind thread "$T/old.token"
finish
