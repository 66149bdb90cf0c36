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
says "a new key counts from the reload on" "0 0" "${reload[@]}" : bind thread "$T/new.token"
says "several keys are trusted at once" "0 0" bind thread "$T/new.token" : bind thread "$T/old.token"

cp "$T/keys.d/issuer.pub" "$T/kept.pub"
printf '#!/bin/sh\nrm %s\n' "$T/keys.d/issuer.pub" >"$T/rm-old"
printf '#!/bin/sh\ncp %s %s\n' "$T/kept.pub" "$T/keys.d/issuer.pub" >"$T/put-old"
chmod 755 "$T/rm-old" "$T/put-old"
says "a binding by a key that was taken away ends with the reload, another does not" "dir dir 0 ENOKEY dir ENOKEY" \
	must thread 1 : must bind thread "$T/old.token" : must in 1 bind thread "$T/new.token" : must h=bind handle "$T/old.token" \
	: stat "$A" type : in 1 stat "$A" type : must in 9 run "$T/rm-old" : "${reload[@]}" : stat "$A" type : in 1 stat "$A" type : stat "$MNT/%h"
says "a token by a key that was taken away is refused, also one that was seen before" EKEYREJECTED bind thread "$T/old.token"

echo garbage >"$T/keys.d/third.pub"
got=$(fst must x=open "$MNT/.sessionfs/admin" O_WRONLY : control @x 'reload\n')
unlike "a reload with a broken key fails" "$got" 0
says "and the keys stay as they were" "0 EKEYREJECTED" bind thread "$T/new.token" : bind thread "$T/old.token"
rm "$T/keys.d/third.pub"
cp "$T/kept.pub" "$T/keys.d/issuer.pub"
kill -HUP "$DAEMON"
says "SIGHUP reloads too" 0 until 0 bind thread "$T/old.token"

# -- without being told --------------------------------------------------------------------------------------------------------
says "a key that is taken away is seen: its bindings end, and others do not" "dir ENOKEY ENOKEY dir" \
	must thread 1 : must bind thread "$T/old.token" : must in 1 bind thread "$T/new.token" : must h=bind handle "$T/old.token" \
	: stat "$A" type : must in 9 run "$T/rm-old" : until ENOKEY stat "$A" type : stat "$MNT/%h" : in 1 stat "$A" type
says "its tokens are refused" EKEYREJECTED bind thread "$T/old.token"
says "one that is added is seen" 0 must in 9 run "$T/put-old" : until 0 bind thread "$T/old.token"

# A copy that goes on: half a key, for as long as it likes. The others are trusted meanwhile.
complaints() { grep -c "keys.d/third.pub: .*the old keys stay, all of them" "$T/log"; }
head -c 20 "$T/forger/issuer.pub" >"$T/keys.d/third.pub"
ok "half a key is complained of" await eval '[[ $(complaints) -ge 1 ]]'
says "and the others stay trusted" "0 0" bind thread "$T/new.token" : bind thread "$T/old.token"
sleep 3
is "once, and not every second" "$(complaints)" 1
head -c 21 "$T/forger/issuer.pub" >"$T/keys.d/third.pub"
ok "after another change again" await eval '[[ $(complaints) -ge 2 ]]'
"$BUILD/session-token" keygen "$T/third" >/dev/null
cp "$T/third/issuer.pub" "$T/keys.d/third.pub"
"$BUILD/session-token" mint --key "$T/third/issuer.key" --sub alice --sid alice-1 --ttl 1h >"$T/third.token"
says "when it is whole it is trusted" 0 until 0 bind thread "$T/third.token"
mv "$T/keys.d/third.pub" "$T/keys.d/third.off"
says "a key under another name is none" "EKEYREJECTED 0" until EKEYREJECTED bind thread "$T/third.token" : bind thread "$T/old.token"
is "changes are counted" "$(awk '$1 == "sessionfs_key_changes_total" { print ($2 >= 6) }' "$MNT/.sessionfs/metrics")" 1
finish
