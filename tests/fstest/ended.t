#!/bin/bash
# SPDX-License-Identifier: MIT
# What every operation gives a caller whose right is over, or whose token was refused.
. "${0%/*}/matrix.sh"

up files.symlinks=allow files.special=allow
claim alice-1 alice
claim bob-1 bob
claim ruth-1 ruth
A=$MNT/alice-1 B=$MNT/bob-1
populate "$(data alice-1)/warm" "$(data bob-1)/mine" "$(data ruth-1)/warm"

# Bound in good time; the operations begin when stat says that the time is over.
late() {
	token late-"$1" "$1" "$1-1" --ttl 3s
	caller
	holds "late-$1" "$2"
	prologue+=(: must in 2 b=open "$2/g" O_RDWR : until EKEYEXPIRED in 2 stat "$2/f")
}

owner alice-1 "$A/warm"
late alice "$A/warm"
trial "an expired binding" "$by_path" "$A/warm" "$A/warm" EKEYEXPIRED 1

owner alice-1 "$A/warm"
late alice "$A/warm"
trial "an expired binding, held descriptors" "$by_descriptor" @d "$A/warm" EKEYEXPIRED 1

owner alice-1 "$A/warm"
late bob "$B/mine"
trial "an expired binding, in another session" "$by_path" "$A/warm" "$B/mine" EKEYEXPIRED 1

# Past its time a caller can still see where it is, and come back with a new token.
token brief alice alice-1 --ttl 2s
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst -u 1000:1000 "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}
says "an expired binding: stat of the mount works, its list and every name do not" \
	"EKEYEXPIRED dir EKEYEXPIRED EKEYEXPIRED EKEYEXPIRED EKEYEXPIRED EKEYEXPIRED" \
	must c=bind thread "$T/brief.token" : until EKEYEXPIRED stat "$A" : stat "$MNT" type : ls "$MNT" : stat "$A" : stat "$B" \
	: stat "$MNT/nothing" : mkdir "$MNT/x"
token brief alice alice-1 --ttl 2s
says "an expired binding: read and self say so" "EKEYEXPIRED false EKEYEXPIRED false" \
	must c=bind thread "$T/brief.token" : until EKEYEXPIRED stat "$A" : json @c bound error : json "$MNT/.sessionfs/self" bound
token brief alice alice-1 --ttl 2s
says "an expired binding: a new token ends that" "EKEYEXPIRED 0 dir" \
	must c=bind thread "$T/brief.token" : until EKEYEXPIRED stat "$A" : bind @c "$T/alice-1.token" : stat "$A" type
token brief alice alice-1 --ttl 2s
says "an expired binding: without it the caller is unbound" "EKEYEXPIRED 0 ENOKEY" \
	must c=bind thread "$T/brief.token" : until EKEYEXPIRED stat "$A" : unbind @c : stat "$A"
token brief alice alice-1 --ttl 2s
says "an expired handle" "EKEYEXPIRED EKEYEXPIRED EKEYEXPIRED EKEYEXPIRED" must h=bind handle "$T/brief.token" \
	: must f=open "$MNT/%h/warm/f" O_RDWR : until EKEYEXPIRED stat "$MNT/%h" : get "$MNT/%h/warm/f" : ls "$MNT/%h/warm" : pread @f 1 0
token brief alice alice-1 --ttl 2s
says "an expired process binding, for a descendant" "EKEYEXPIRED EKEYEXPIRED" \
	must bind process "$T/brief.token" : must fork 1 : until EKEYEXPIRED stat "$A" : in 1 stat "$A"

# A refused bind carries nothing: what was held before it is worth nothing either.
expired late-again alice alice-1
forged forged alice alice-1
damaged damaged alice-1
token stolen mallory alice-1
token elsewhere alice alice-1 --aud elsewhere

refused() { # NAME ERRNO WHAT
	is "$3: bind: $2" "$(fst -u 1000:1000 bind thread "$T/$1.token")" "$2"
	owner alice-1 "$A/warm"
	caller
	holds alice-1 "$A/warm"
	prologue+=(: must in 2 b=open "$A/warm/g" O_RDWR : in 2 bind @c "$T/$1.token")
	trial "$3" "$by_path" "$A/warm" "$A/warm" ENOKEY 1
	trial "$3, held descriptors" "$by_descriptor" @d "$A/warm" ENOKEY 1
}

refused late-again EKEYEXPIRED "an expired token"
refused forged EKEYREJECTED "a token signed by a stranger"
for one in "damaged a damaged signature" "stolen a session id of another user" "elsewhere a token for another audience"; do
	name=${one%% *}
	is "${one#* }: bind: EKEYREJECTED" "$(fst -u 1000:1000 bind thread "$T/$name.token")" EKEYREJECTED
	is "${one#* }: then the caller is bound to nothing" \
		"$(fst -u 1000:1000 c=bind thread "$T/alice-1.token" : bind @c "$T/$name.token" : get "$A/warm/f")" \
		$'0\nEKEYREJECTED\nENOKEY'
done

# Revoked by an operator, while somebody is at work there and somebody else next door.
owner alice-1 "$A/warm"
caller
holds ruth-1 "$MNT/ruth-1/warm"
for name in f g d d/inner e l p; do prologue+=(: must in 2 lstat "$MNT/ruth-1/warm/$name"); done
prologue+=(: must in 2 b=open "$MNT/ruth-1/warm/g" O_RDWR
	: must x=open "$MNT/.sessionfs/admin" O_WRONLY : control @x 'revoke ruth-1\n')
trial "a revoked session" "$by_path" "$MNT/ruth-1/warm" "$MNT/ruth-1/warm" EKEYREVOKED 1
prologue=()
is "a revoked session can not be bound again: EKEYREVOKED" "$(fst -u 1000:1000 bind thread "$T/ruth-1.token")" EKEYREVOKED

finish
