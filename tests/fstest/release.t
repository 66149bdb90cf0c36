#!/bin/bash
# SPDX-License-Identifier: MIT
# Releases of the application: who runs what is known, and who runs the wrong one is refused, on every instance.
. "${0%/*}/lib.sh"

token alice alice alice-1
token bob bob bob-1
# release WORDS…: session-release on the store.
release() { "$BUILD/session-release" "$@" "$T/store" 2>&1; }
# ls_json EXPRESSION: what session-ls --releases says, as l, in Python.
ls_json() {
	"$BUILD/session-ls" --json --releases "$T/store" | python3 -c '
import collections, json, sys
l = json.load(sys.stdin)
found = collections.defaultdict(collections.Counter)
for i in l["instances"]:
    for r in i.get("releases", ()):
        found[i["instance"], r["release"]].update({k: v for k, v in r.items() if isinstance(v, int)})
print(eval(sys.argv[1]))' "$1"
}
says() { [[ $(ls_json "$2") = "$1" ]]; }
bind() { fst -u 1000:1000 bind thread "$T/$1.token" ${2+"$2"}; }

# -- observe ---------------------------------------------------------------------------------------------------------------
up release.policy=observe daemon.name=one
is "observe: a worker that names none is admitted" "$(bind alice)" 0
# Two workers that stay, of two releases, serve one session.
touch "$T/workers-may-go"
coproc WORKERS { fst must fork 1 : must fork 2 : must in 1 become 1000:1000 : must in 2 become 1000:1000 \
	: must in 1 bind thread "$T/alice.token" 2026.01 : must in 2 bind thread "$T/bob.token" 2026.01 \
	: must in 2 bind thread "$T/alice.token" 2026.02 : until ENOENT stat "$T/workers-may-go"; }
ok "session-ls --releases has each release with its workers" await says "1 1" 'str(found["one", "2026.01"]["workers"]) + " " + str(found["one", "2026.02"]["workers"])'
is "and their binds" "$(ls_json '[found["one", "2026.01"]["binds"], found["one", "2026.02"]["binds"], found["one", ""]["binds"]]')" "[2, 1, 1]"
is "and their sessions" "$(ls_json '[found["one", "2026.01"]["sessions"], found["one", "2026.02"]["sessions"]]')" "[1, 1]"
is "a session that two releases served is counted as mixed" "$(ls_json '[i["mixed"] for i in l["instances"]]')" "[1]"
like "the metrics have them" "$(cat "$MNT/.sessionfs/metrics")" '*sessionfs_release_workers{release="2026.02"} 1*sessionfs_release_binds_total{release="2026.01"} 2*'
like "the audit says which release served whom" "$(audit event=bind sub=alice release=2026.02)" '*"sid":"alice-1"*'
is "a table for people, eight words a line" "$("$BUILD/session-ls" --releases "$MNT" | awk '{ print NF }' | sort -u)" 8
is "the store names no release" "$(release show)" "no release was ever named: where release.policy is require, no bind is admitted"
rm "$T/workers-may-go"
wait "$WORKERS_PID"
ok "workers that are gone do not count" await says "[0, 0]" '[found["one", "2026.01"]["workers"], found["one", "2026.02"]["workers"]]'
is "observe: what is required does not matter" "$(release require 9 >/dev/null; bind alice 1)" 0

like "session-ls --nodes has the instance" "$("$BUILD/session-ls" --nodes "$T/store")" "*
one *up *$MNT"
down
like "and one that was stopped, as such" "$("$BUILD/session-ls" --nodes "$T/store")" "*
one *stopped *"

# -- require, on two instances ---------------------------------------------------------------------------------------------
rm "$T/store/release.json"
up release.policy=require daemon.name=one
second release.policy=require
is "require: nobody is admitted while the store names no release" "$(bind alice 1) $(bind alice)" "ESTALE ESTALE"
like "the log says so" "$(<"$T/log2")" '*release.json: missing*every bind is refused*'
like "one is named" "$(release require 1)" '1 is required, since 20*Z'
ok "and is admitted within two seconds" await eval '[[ $(bind alice 1) = 0 ]]'
ok "on the other instance too" await eval '[[ $(fst -m "$TWO" -u 1000:1000 bind thread "$T/bob.token" 1) = 0 ]]'
is "another is not, and none neither" "$(bind alice 2) $(bind alice)" "ESTALE ESTALE"

# A worker in slot 1 bound here, one in slot 2 there; the driver binds below -m, so slot 2 opens its control file itself.
both=(must fork 1 : must fork 2 : must in 1 become 1000:1000 : must in 2 become 1000:1000 : must in 1 bind thread "$T/alice.token" 1
	: must in 2 c=open "$TWO/.sessionfs/thread" O_RDWR,O_CLOEXEC : must in 2 bind @c "$T/bob.token" 1)
cat >"$T/switch" <<END
#!/bin/sh
exec $BUILD/session-release require 2 $T/store >/dev/null
END
chmod 755 "$T/switch"
is "another release is required: bindings of the old end, on every instance" "$(fst "${both[@]}" \
	: in 1 stat "$MNT/alice-1" type : in 2 stat "$TWO/bob-1" type : run "$T/switch" \
	: until ENOKEY in 1 stat "$MNT/alice-1" : until ENOKEY in 2 stat "$TWO/bob-1" \
	: in 1 bind thread "$T/alice.token" 1 : in 2 bind @c "$T/bob.token" 1 : in 1 bind thread "$T/alice.token" 2 | tr '\n' ' ')" \
	"dir dir 0 ENOKEY ENOKEY ESTALE ESTALE 0 "
refusals() { awk '$1 == "sessionfs_release_refusals_total" { print $2 }' "$MNT/.sessionfs/metrics"; }
before=$(refusals)
id=$(fst -u 1000:1000 id : repeat 20 bind thread "$T/alice.token" 1 | head -1)
await eval '[[ $(audit event=bind-refused "pid=$id" | wc -l) -ge 1 ]]'
is "a worker that is refused is audited once" "$(audit event=bind-refused "pid=$id" | wc -l)" 1
like "with its release" "$(audit event=bind-refused "pid=$id")" '*"errno":"ESTALE","reason":"release"*"release":"1"*'
is "each refusal is counted" $(($(refusals) - before)) 20
like "the control file says why" "$(fst -u 1000:1000 must c=open "$MNT/.sessionfs/thread" O_RDWR,O_CLOEXEC : bind @c "$T/alice.token" 1 : read @c 999)" \
	'ESTALE*"error":"ESTALE","reason":"release"*'

# -- draining --------------------------------------------------------------------------------------------------------------
bind bob 2 >/dev/null # so that the old release served bob-1 last
like "a release may drain" "$(release require 3 --drain 1h)" $'3 is required*\n2 may go on with the sessions that it serves, until *'
ok "the new one is admitted" await eval '[[ $(bind alice 3) = 0 ]]'
is "the old one goes on with a session that it serves" "$(bind bob 2)" 0
is "not with one that the new one took over" "$(bind alice 2)" ESTALE
is "nor does the one before" "$(bind bob 1)" ESTALE
verdicts() { "$BUILD/session-ls" --releases "$T/store" | awk '$3 == "one" && $1 != "-" { print $1 "=" $2 }' | sort | tr '\n' ' '; }
ok "the listing says so" await eval '[[ $(verdicts) = "1=no 2=draining 3=yes " ]]'
release require 4 --drain 1s >/dev/null
ok "when its time is over the old one is refused" await eval '[[ $(bind bob 3) = ESTALE ]]'
like "any release may be admitted" "$(release any)" 'any release is admitted, since *'
ok "then all are" await eval '[[ $(bind bob 1) = 0 ]]'
is "show, for programs" "$("$BUILD/session-release" show --json "$MNT" | python3 -c 'import json, sys; o = json.load(sys.stdin); print(o["named"], o["required"], o["draining"])')" "True None None"

# -- bad input -------------------------------------------------------------------------------------------------------------
release require 4 >/dev/null
await eval '[[ $(bind bob 1) = ESTALE ]]'
echo garbage >"$T/store/release.json"
await grep -q "release.json: not one" "$T/log"
is "garbage in release.json: what was read last stays in force" "$(bind bob 4) $(bind bob 1)" "0 ESTALE"
like "and is said by name" "$(release show)" 'session-release: *release.json: not one that session-release wrote'
like "it is replaced on request" "$(release require 4)" '4 is required*'
for id in 'a b' '' 'ä' '../x' "$(printf 'x%.0s' {1..65})"; do
	"$BUILD/session-release" require "$id" "$T/store" >/dev/null 2>&1
	is "a release '${id:0:10}' is refused as usage" $? 2
done
"$BUILD/session-release" require 5 --drain never "$T/store" 2>/dev/null
is "so is a time that is none" $? 2
like "draining needs a release before" "$(release any >/dev/null; release require 5 --drain 1m)" 'session-release: --drain: *'
like "no store" "$("$BUILD/session-release" show "$T" 2>&1)" "session-release: $T: *"
"$BUILD/session-ls" --nodes --live "$MNT" >/dev/null 2>&1
is "--nodes and --live do not go together" $? 2
echo '{"name":"three"' >"$T/store/nodes/three.json"
got=$("$BUILD/session-ls" --nodes "$T/store" 2>"$T/err")
is "a heartbeat of garbage: the exit status says so" $? 1
like "it is listed as broken" "$got" "*three *broken*"
is "and named" "$(<"$T/err")" "session-ls: nodes/three.json: not a heartbeat"

# -- names -----------------------------------------------------------------------------------------------------------------
stop_second
second daemon.name=one
ok "two daemons under one name: each says so" await grep -q "another daemon runs under this one's name, one" "$T/log2"
stop_second
start -c "$T/conf" -o daemon.name=a/b "$T/store" "$TWO"
is "a name with a slash is refused" "$(grep -c 'daemon.name: must be' "$T/log")" 1
start -c "$T/conf" -o release.policy=maybe "$T/store" "$TWO"
like "so is another policy" "$(<"$T/log")" '*release.policy: must be off, observe or require'
finish
