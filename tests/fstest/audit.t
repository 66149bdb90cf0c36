#!/bin/bash
# SPDX-License-Identifier: MIT
# The audit: one JSON line for each bind, unbind, refused bind and refused operation.
. "${0%/*}/lib.sh"

up
token alice alice alice-1
token bob bob bob-1
token stolen mallory alice-1
forged forged alice alice-1
expired late alice alice-1
A=$MNT/alice-1

# Lines come from a thread of their own: wait for the count of those that match.
counted() { [[ $(audit "${@:2}" | wc -l) -ge $1 ]]; }
one() { # CLAIM PAIRS…: there is exactly one such line
	local claim=$1
	shift
	await counted 1 "$@"
	is "$claim" "$(audit "$@" | wc -l)" 1
}
# has CLAIM KEYS PAIRS…: the first line that matches has these keys with something in them.
has() {
	local claim=$1 keys=$2
	shift 2
	is "$claim" "$(audit "$@" | head -1 | python3 -c '
import json, sys
e = json.loads(sys.stdin.readline() or "{}")
print(" ".join(k for k in sys.argv[1].split() if e.get(k) in (None, "")) or "all there")' "$keys")" "all there"
}

one "the start of the daemon" event=start
id=$(fst -u 1000:1000 must c=bind thread "$T/alice.token" : id : must unbind @c)
one "a bind: who, what and how" event=bind scope=thread sub=alice sid=alice-1 uid=1000 "tid=$id" "pid=$id" comm=fstest
one "an unbind" event=unbind scope=thread sub=alice sid=alice-1 "tid=$id"
has "a bind has its time and its end" "time exp" event=bind sid=alice-1
like "times are RFC 3339 in UTC with milliseconds" "$(audit event=bind | head -1)" \
	'*"time":"20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z"*'
fst -u 1000:1000 bind process "$T/bob.token" r-7 >/dev/null
one "a process bind with its release" event=bind scope=process sub=bob release=r-7
one "a binding that ends with its process" event=unbind scope=process sub=bob
fst -u 1000:1000 bind handle "$T/bob.token" >/dev/null
one "a handle" event=bind scope=handle sub=bob

fst -u 1000:1000 bind thread "$T/forged.token" >/dev/null
one "a forged token" event=bind-refused errno=EKEYREJECTED uid=1000 scope=thread comm=fstest
has "and why it was refused" reason event=bind-refused errno=EKEYREJECTED
fst -u 1000:1000 bind thread "$T/late.token" >/dev/null
one "an expired token, and whose it was" event=bind-refused errno=EKEYEXPIRED sub=alice sid=alice-1
fst -u 1000:1000 bind thread "$T/stolen.token" >/dev/null
one "a reused session id: who came, and whose it is" event=bind-refused errno=EKEYREJECTED sub=mallory sid=alice-1 target=alice
like "it is called so" "$(audit event=bind-refused sub=mallory | head -1)" '*"reason":"*sid*"*'

id=$(fst -u 1000:1000 must fork 1 : must in 1 bind thread "$T/alice.token" : must in 1 put "$A/f" x : must bind thread "$T/bob.token" : id : get "$A/f" \
	| head -1)
one "a refused operation: who, what, and the session that was reached for" event=refused op=open errno=EACCES sub=bob sid=bob-1 target=alice-1 \
	uid=1000 "tid=$id" "pid=$id" comm=fstest
fst -u 1000:1000 must bind thread "$T/bob.token" : stat "$MNT/carol-1" >/dev/null
one "a name in the root that is not the caller's" event=refused op=lookup errno=EACCES sub=bob target=carol-1
id=$(fst -u 1000:1000 must thread 1 : in 1 id : in 1 stat "$A" | head -1)
await counted 1 event=refused errno=ENOKEY "tid=$id"
one "an unbound thread: its own number and its process" event=refused errno=ENOKEY "tid=$id"
unlike "they differ" "$(audit event=refused "tid=$id" | head -1)" "*\"tid\":$id,\"pid\":$id,*"

# -- repeats -----------------------------------------------------------------------------------------------------------
id=$(fst -u 1000:1000 must bind thread "$T/bob.token" : id : repeat 500 stat "$A" | head -1)
await counted 1 event=refused "tid=$id"
is "500 refusals of one caller are one line at first" "$(audit event=refused "tid=$id" | wc -l)" 1

cp "$AUDIT" "$T/early"
down
is "the stop of the daemon" "$(audit event=stop | wc -l)" 1
is "and in the end none of the 500 is missing" "$(audit event=refused "tid=$id" | python3 -c '
import json, sys
print(sum(json.loads(l).get("repeated", 1) for l in sys.stdin))')" '499|500'
is "every line is one JSON object" "$(python3 -c '
import json, sys
print(sum(not isinstance(json.loads(l), dict) for l in open(sys.argv[1])))' "$AUDIT" 2>&1 | tail -1)" 0
is "every line has its time and event" "$(python3 -c '
import json, sys
print(sum(not (e.get("time") and e.get("event")) for e in map(json.loads, open(sys.argv[1]))))' "$AUDIT")" 0
is "no token, signature or key is in it" "$(for t in alice bob stolen forged late; do
	IFS=. read -r _ _ body footer <"$T/$t.token"
	grep -cF -e "$body" -e "${body: -60}" -e "$footer" -e 'v4.public' -e 'k4.secret' -e 'k4.public' "$AUDIT"; done | sort -u)" 0
is "the file is its owner's alone" "$(stat -c %a "$AUDIT")" 600
up
is "a daemon that starts again appends" "$(await counted 2 event=start; audit event=start | wc -l)" 2
mv "$AUDIT" "$AUDIT.1"
kill -HUP "$DAEMON"
ok "after SIGHUP it writes to a new file" await test -e "$AUDIT"
down

up audit.to=stderr
fst -u 1000:1000 bind thread "$T/forged.token" >/dev/null
down
like "the audit can go to stderr" "$(grep bind-refused "$T/log")" '{*"event":"bind-refused"*}'
finish
