#!/bin/bash
# SPDX-License-Identifier: MIT
# What the daemon tells a service manager: the socket is the test's own, and so are the expectations.
. "${0%/*}/lib.sh"

# A manager: binds ADDRESS, and prints each datagram as one line, with its newlines shown as |.
cat >"$T/manager" <<'END'
import os, socket, sys
address = sys.argv[1]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind("\0" + address[1:] if address[0] == "@" else address)
print("listening", flush=True)
while True:
    print(manager.recv(65536).decode().rstrip("\n").replace("\n", "|"), flush=True)
END

manage() {
	exec {heard}< <(exec python3 "$T/manager" "$1")
	MANAGER=$!
	local line
	read -r -t 10 -u "$heard" line && [[ $line = listening ]] || bail "the manager at $1 does not listen"
}
unmanage() { kill "$MANAGER" && wait "$MANAGER" 2>/dev/null; exec {heard}<&-; }
# hear: the next datagram, or "nothing" after a while.
hear() { local line=nothing; read -r -t 10 -u "$heard" line || line=nothing; echo "$line"; }

# run_foreground ADDRESS [WORDS…]
run_foreground() {
	NOTIFY_SOCKET=$1 "$BUILD/sessionfs" -f -c "$T/conf" "${@:2}" "$T/store" "$MNT" >"$T/log" 2>&1 </dev/null &
	DAEMON=$!
	echo "$DAEMON" >"$T/daemon"
}
# ended CLAIM STATUS: the daemon ends, by itself.
ended() {
	await gone "$DAEMON" || bail "the daemon does not end"
	local status=0
	wait "$DAEMON" || status=$?
	DAEMON=
	is "$1" "$status" "$2"
}
# quiet CLAIM: nothing more is to be heard.
quiet() { local line=; read -r -t 0.5 -u "$heard" line; is "$1" "$line" ""; }
now() { python3 -c 'import time; print(time.monotonic_ns() // 1000)'; }
logged() { [[ $(<"$T/log") = *"$1"* ]]; }

for address in "$T/notify" "@sessionfs-test-$$"; do
	kind=path
	[[ $address = @* ]] && kind="abstract name"
	manage "$address"
	run_foreground "$address"
	is "a manager behind a $kind hears that the mount is ready" "$(hear)" "READY=1|STATUS=$T/store at $MNT"
	ok "and then it is there" mounted

	before=$(now)
	kill -HUP "$DAEMON"
	line=$(hear)
	like "SIGHUP: it hears of the reload" "$line" 'RELOADING=1|MONOTONIC_USEC=[0-9]*'
	usec=${line##*=}
	ok "with the time, in microseconds of the monotonic clock" test "$before" -le "$usec" -a "$usec" -le "$(now)"
	is "and of its end" "$(hear)" "READY=1|STATUS=$T/store at $MNT; reloaded"

	mv "$T/keys.d/issuer.pub" "$T/issuer.away"
	kill -HUP "$DAEMON"
	like "a reload that fails begins as any does" "$(hear)" 'RELOADING=1|*'
	is "and its end says so" "$(hear)" "READY=1|STATUS=$T/store at $MNT; the last reload failed"
	mv "$T/issuer.away" "$T/keys.d/issuer.pub"

	kill -TERM "$DAEMON"
	is "SIGTERM: it hears that the daemon stops" "$(hear)" "STOPPING=1"
	ended "and that was in good order" 0
	unmanage
	rm -f "$T/notify"
done

manage "$T/notify"
run_foreground "$T/notify"
like "once more" "$(hear)" 'READY=1|*'
umount "$MNT"
is "an umount is told as a stop" "$(hear)" "STOPPING=1"
ended "and the daemon ends" 0

run_foreground "$T/notify" -o tokens.keys="$T/nowhere"
ended "a daemon that can't start fails" 1
quiet "and was never ready"

export NOTIFY_SOCKET=$T/notify
up
unset NOTIFY_SOCKET
down
quiet "a daemon in the background tells its caller's manager nothing"

# -- bad addresses -----------------------------------------------------------------------------------------------------------

long=/$(printf 'x%.0s' {1..200})
for pair in relative/path:"Address family not supported by protocol" vsock.2:"Address family not supported by protocol" \
	/:"Address family not supported by protocol" @:"Address family not supported by protocol" \
	"$long":"File name too long" "$T/nobody":"telling the service manager: No such file or directory"; do
	run_foreground "${pair%%:*}"
	ok "with an address of nobody's (${pair:0:20}) it mounts all the same" await mounted
	ok "and says what is wrong with it" await logged "${pair#*:}"
	kill -TERM "$DAEMON"
	ended "and stops as always" 0
done

# A manager that takes nothing: its queue is full.
cat >"$T/stuffed" <<'END'
import socket, sys, time
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
others, sent = [], 1
while sent:  # one sender's share is less than the queue
    others.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    others[-1].setblocking(False)
    sent = 0
    try:
        while True:
            others[-1].sendto(b"x", sys.argv[1])
            sent += 1
    except BlockingIOError:
        pass
print("listening", flush=True)
time.sleep(600)
END
cp "$T/stuffed" "$T/manager"
unmanage
rm -f "$T/notify"
manage "$T/notify"
run_foreground "$T/notify"
ok "a manager that takes nothing doesn't keep the mount from being there" await mounted
ok "and is given up" await logged "telling the service manager: Resource temporarily unavailable"
token alice alice alice-1
is "it serves" "$("$BUILD/session-exec" --token-file "$T/alice.token" "$MNT" -- readlink "$MNT/self")" alice-1
kill -TERM "$DAEMON"
ended "and stops" 0
unmanage

finish
