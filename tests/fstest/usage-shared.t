#!/bin/bash
# SPDX-License-Identifier: MIT
# Two daemons that use one session keep its limit together, and what one leaves behind is put right.
. "${0%/*}/lib.sh"
. "${0%/*}/quota.sh"

LS=$BUILD/session-ls

for mode in own same; do
	fresh limits.session_bytes=3000001
	second limits.session_bytes=3000001
	"$FLOOD" "$TWO" "$T/alice.token" own 4 5000 100000 >"$T/flood2" &
	got=$("$FLOOD" "$MNT" "$T/alice.token" $mode 4 5000 100000)
	wait $!
	like "two instances, $mode: each is told" "${got#* } $(cut -d' ' -f2 "$T/flood2")" "EDQUOT EDQUOT"
	agree "$mode: together they know every byte" alice-1
	ok "$mode: and they did not exceed it" [ "$(tree alice-1 | cut -d' ' -f1)" -le 3000001 ]
	says "$mode: what one leaves idle the other has within two seconds" "0 EDQUOT" must f=open "$A/rest" O_RDWR,O_CREAT \
		: until 0 truncate @f $((3000001 - $(tree alice-1 | cut -d' ' -f1) )) : truncate "$A/rest" 3000001
	agree "$mode: to the last byte" alice-1
	stop_second
done
fresh limits.session_bytes=1M
second limits.session_bytes=1M
is "what one instance frees the other can use" "$(fst -u 1000:1000 must fork 1 : must fork 2 : must in 1 bind process "$T/alice.token" \
	: must in 2 c=open "$TWO/.sessionfs/process" O_RDWR,O_CLOEXEC : must in 2 bind @c "$T/alice.token" : must in 1 f=open "$A/f" O_RDWR,O_CREAT : in 1 truncate @f 1M \
	: in 2 put "$TWO/alice-1/g" x : in 2 unlink "$TWO/alice-1/f" : in 1 close @f : until 0 in 2 put "$TWO/alice-1/g" x)" $'0\nEDQUOT\n0\n0\n0'
agree "also when it had the file open" alice-1

# What no instance can see alone: both make one file larger at once, and each counts what it sees. Never too little.
stop_second
fresh limits.session_bytes=100M
second limits.session_bytes=100M
"$FLOOD" "$TWO" "$T/alice.token" apart 4 5000 100 >/dev/null &
"$FLOOD" "$MNT" "$T/alice.token" apart 4 5000 100 >/dev/null
wait $!
await_exact() { [[ $(ledger alice-1 exact) = True ]]; }
await await_exact
read -r bytes _ <<<"$(ledger alice-1)"
ok "two instances that make one file larger count what it has, or more" [ "$bytes" -ge "$(tree alice-1 | cut -d' ' -f1)" ]
"$LS" --recount "$T/store" >/dev/null
agree "and a recount makes it exact" alice-1
stop_second

fresh limits.session_bytes=1M
second limits.session_bytes=1M
# One dies in the middle: what it had been granted comes back when its session is counted.
"$FLOOD" "$TWO" "$T/alice.token" own 2 1000 100 >/dev/null
kill -KILL "$SECOND"
await gone "$SECOND"
umount -l "$TWO"
bytes=$(tree alice-1 | cut -d' ' -f1)
says "its grant is lost for the other" "EDQUOT" must f=open "$A/h" O_RDWR,O_CREAT : truncate @f $((1048576 - bytes))
recounted=$("$LS" --recount "$T/store")
like "session-ls --recount tells dead from idle" "$recounted" '*1 sessions counted*'
says "and gives it back" "0 EDQUOT" must f=open "$A/h" O_RDWR,O_CREAT : truncate @f $((1048576 - bytes)) : put "$A/i" x
agree "to the byte" alice-1

finish
