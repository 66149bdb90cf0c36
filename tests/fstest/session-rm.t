#!/bin/bash
# SPDX-License-Identifier: MIT
# Removing and revoking: session-rm.
. "${0%/*}/lib.sh"
. "${0%/*}/program.sh"

RM=$BUILD/session-rm
STORE=$T/store

# does CLAIM WANT ARGUMENT…: verb and id of each line, sorted; no complaint.
does() {
	local claim=$1 want=$2
	shift 2
	run "$RM" "$@"
	is "$claim" "$status|$err|$(awk '{ print $1, $2 }' "$T/out" | sort | xargs)" "0||$want"
}
stored() { "$BUILD/session-ls" --json "$STORE" 2>/dev/null | python3 -c '
import json, sys
print(*sorted(s["id"] for s in json.load(sys.stdin)["sessions"] if s["id"] and s["state"] != "revoked"))'; }
# aged SID KEY HOURS: so long ago.
aged() {
	python3 - "$(data "$1")/../meta.json" "$2" "$3" <<'END'
import datetime, json, sys
path, key, hours = sys.argv[1:]
meta = json.load(open(path))
then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=float(hours))
meta[key] = then.strftime("%Y-%m-%dT%H:%M:%SZ")
json.dump(meta, open(path, "w"))
END
}
make() { # SID SUB
	token "$1" "$2" "$1"
	fst -u 1000:1000 -b "thread:$T/$1.token" put "$MNT/$1/f" content >/dev/null
}

# -- misuse ------------------------------------------------------------------------------------------------------------------
up
make a-1 ada
make a-2 ada
make b-1 bob
all=$(stored)
is "three sessions are there" "$all" "a-1 a-2 b-1"
says "what is to go must be named" 2 "usage: session-rm *" "$RM"
says "a store alone chooses nothing" 2 "usage: session-rm *" "$RM" "$STORE"
says "nor does a mount" 2 "usage: session-rm *" "$RM" --yes "$MNT"
says "an empty id is none" 2 "session-rm: '': not a session id" "$RM" "$STORE" ""
says "nor is a pattern" 2 "session-rm: '[*]': not a session id" "$RM" "$STORE" '*'
says "one that is no id keeps the others from going" 2 "session-rm: '../a-2': not a session id" "$RM" "$STORE" a-1 ../a-2
says "an empty user is none" 2 "session-rm: --user '': not a user" "$RM" --user "" "$STORE"
for age in "" 0 0s 59m -1h 1x none; do
	says "'$age' is not long enough to be idle" 2 "session-rm: --idle '$age': must be a time of 1h or more*" "$RM" --idle "$age" "$STORE"
done
says "nor 0 to be old" 2 "session-rm: --older '0': must be a time of 1s or more*" "$RM" --older 0 "$STORE"
says "ids and a selection do not go together" 2 "usage: session-rm *" "$RM" --expired "$STORE" a-1
says "an unknown option is misuse" 2 "*unrecognized option '--all'" "$RM" --all "$STORE"
says "options count behind the ids too" 2 "*unrecognized option '--all'" "$RM" "$STORE" a-1 --all
says "a directory that is nothing says so" 1 "session-rm: $T/keys.d: *" "$RM" "$T/keys.d" a-1
says "what is not there says so" 1 "session-rm: session nobody: no such session" "$RM" "$STORE" nobody
is "and nothing has gone by all that" "$(stored)" "$all"

# -- by id ---------------------------------------------------------------------------------------------------------------------
does "a dry run says what would go" "would-remove a-1 would-remove b-1" --dry-run "$STORE" a-1 b-1
does "wherever the option stands" "would-revoke a-1" "$STORE" a-1 --revoke --dry-run
is "and nothing goes" "$(stored)" "$all"
run "$RM" "$STORE" a-1 nobody
is "what is there goes though another is not" "$status|$out" "1|$(head -1 "$T/out")"
like "with a line for each" "$out" 'removed a-1 ada 20*Z'
is "and only that" "$(stored)" "a-2 b-1"
does "revoked, on the store" "revoked a-2" --revoke "$STORE" a-2
does "again, without harm" "revoked a-2" --revoke "$STORE" a-2
is "nobody can enter it, as soon as the daemon has seen it" "$(fst until EKEYREVOKED bind thread "$T/a-2.token")" EKEYREVOKED
ok "its files are kept" test -e "$(data a-2)/f"
make -x ada
does "an id that begins with a dash" "removed -x" "$STORE" -- -x

# -- JSON ------------------------------------------------------------------------------------------------------------------------
# gives CLAIM STATUS PYTHON-EXPRESSION ARGUMENT…: of the object j on stdout, with s for its sessions by id; it has to be true.
gives() {
	local claim=$1 want=$2 what=$3
	shift 3
	run "$RM" --json "$@"
	is "$claim" "$status $(python3 -c '
import json, re, sys
j = json.load(open(sys.argv[1]))
s = {x["id"]: x for x in j["sessions"]}
keys = {"id", "user", "done", "used", "name", "error"}
time = lambda t: bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", t))
assert set(j) == {"sessions", "told"} and all(set(x) == keys for x in j["sessions"])
print(eval(sys.argv[2]))' "$T/out" "$what" 2>&1 | tail -1)" "$want True"
}
make i-1 ida
make i-2 ida
gives "JSON: what would go" 0 'j["told"] and len(s) == 2 and s["i-1"]["done"] == "would-remove" and s["i-1"]["user"] == "ida" and time(s["i-1"]["used"]) and s["i-1"]["error"] is None and len(s["i-1"]["name"]) == 64' --dry-run "$STORE" i-1 i-2
gives "what was revoked" 0 's["i-1"]["done"] == "revoked"' --revoke "$MNT" i-1
gives "what is gone, and what was not there" 1 's["i-1"]["done"] == "removed" and s["nobody"] == {"id": "nobody", "user": None, "done": None, "used": None, "name": s["nobody"]["name"], "error": "no such session"}' "$STORE" i-1 nobody
is "which is said as well" "$err" "session-rm: session nobody: no such session"
gives "of a selection" 0 'list(s) == ["i-2"] and s["i-2"]["done"] == "removed"' --user ida "$MNT"
gives "of one that holds for none: still an object" 0 'j == {"sessions": [], "told": True}' --user ida "$MNT"
make i-3 ida
echo garbage >"$(data i-3)/../meta.json"
gives "of one that is damaged, passed over" 1 '[(x["id"], x["user"], x["done"], x["error"]) for x in j["sessions"]] == [(None, None, None, "damaged")]' --user ida "$STORE"
gives "and by its directory's name, removed" 0 '[(x["id"], x["done"], x["name"]) for x in j["sessions"]] == [(None, "removed", "'"$(basename "$(dirname "$(data i-3)")")"'")]' "$STORE" "$(basename "$(dirname "$(data i-3)")")"
says "with a fault in the words there is none" 2 "session-rm: '../x': not a session id" "$RM" --json "$STORE" ../x
mount -t tmpfs -o nr_inodes=1,mode=700 none "$STORE/ended" || bail "no tmpfs here"
make i-4 ida
gives "where others can't be told, that too" 1 's["i-4"]["done"] == "removed" and j["told"] is False' "$STORE" i-4
umount "$STORE/ended"
run bash -c "'$RM' --json --dry-run --user ida '$STORE' >/dev/full"
like "a full disk behind it is told" "$status|$err" "1|session-rm: standard output: No space left on device"

# -- live access ---------------------------------------------------------------------------------------------------------------
# What a caller holds: a thread's binding with files and a directory open, and a handle. Root, in slot 9, takes it away.
taken() { # CLAIM WANT ARGUMENT…
	local claim=$1 want=$2 sid=$3 verdicts
	shift 3
	printf '#!/bin/sh\nexec %s %s >/dev/null\n' "$RM" "$*" >"$T/take"
	chmod 755 "$T/take"
	verdicts=$(fst must fork 9 : must become 1000:1000 : must thread 1 : must h=bind handle "$T/$sid.token" : must bind thread "$T/$sid.token" \
		: must put "$MNT/$sid/g" text : must f=open "$MNT/$sid/g" O_RDWR : must d=open "$MNT/$sid" O_DIRECTORY : must x=open "$MNT/$sid/g" O_WRONLY \
		: must r=open "$MNT/$sid/g" O_RDONLY : must in 1 stat "$MNT/%h/g" \
		: must in 9 run "$T/take" : pread @f 4 0 : pwrite @f x 0 : write @x x : stat @f size : ls @d : get @d/g : stat "$MNT/$sid/g" : in 1 stat "$MNT/%h/g" \
		: in 1 ls "$MNT/%h" : pread @r 4 0)
	is "$claim" "$(xargs <<<"$verdicts")" "$want"
}
R=EKEYREVOKED
all_revoked="$R $R $R $R $R $R $R $R $R"
make c-1 carol
taken "revoked on the mount: open files, directories and handles end at once; what was open for reading goes on" "$all_revoked text" c-1 --revoke "$MNT" c-1
make c-2 carol
taken "removed on the mount: the same" "$all_revoked text" c-2 "$MNT" c-2
ok "and its files are gone" eval '[[ ! -e $(data c-2) ]]'
is "an id that was removed can be bound anew, and is empty" "$(fst -b "thread:$T/c-2.token" ls "$MNT/c-2")" "(empty)"
down
up files.io=strict
make c-3 carol
taken "with io = strict what was open for reading ends too" "$all_revoked $R" c-3 --revoke "$MNT" c-3
down
up

# within CLAIM OPTION… SID: the same on the store: the daemon has to see it.
make d-1 dora
printf '#!/bin/sh\nexec %s --revoke %s d-1 >/dev/null\n' "$RM" "$STORE" >"$T/take"
is "revoked on the store: the daemon sees it, for open files too" \
	"$(fst must fork 9 : must become 1000:1000 : must bind thread "$T/d-1.token" : must f=open "$MNT/d-1/f" O_RDWR : must in 9 run "$T/take" \
		: until $R pread @f 4 0 : pwrite @f x 0 | xargs)" "$R $R"
make d-2 dora
printf '#!/bin/sh\nexec %s %s d-2 >/dev/null\n' "$RM" "$STORE" >"$T/take"
is "removed on the store: the same" \
	"$(fst must fork 9 : must become 1000:1000 : must bind thread "$T/d-2.token" : must f=open "$MNT/d-2/f" O_RDWR : must in 9 run "$T/take" \
		: until $R pread @f 4 0 : pwrite @f x 0 : get "$MNT/d-2/f" | xargs)" "$R $R $R"

# -- selections -------------------------------------------------------------------------------------------------------------------
for s in $(stored); do "$RM" "$STORE" "$s" >/dev/null; done
make e-1 eve
make e-2 eve
make f-1 fred
make f-2 fred
down # the daemon writes its times when it ends
aged e-1 last_used 50
aged e-1 created 51
aged f-1 last_used 50
aged f-1 created 90
aged f-2 created 90
aged f-2 expires 1
does "by user" "would-remove e-1 would-remove e-2" --dry-run --user eve "$STORE"
does "by idle time" "would-remove e-1 would-remove f-1" --dry-run --idle 48h "$STORE"
does "by age" "would-remove f-1 would-remove f-2" --dry-run --older 3d "$STORE"
does "by the last token" "would-remove f-2" --dry-run --expired "$STORE"
does "of several, all must hold" "would-remove f-1" --dry-run --idle 2d --user fred --older 80h "$STORE"
does "where there is none, none" "" --idle 60h "$STORE"
printf '[retention]\nidle = 49h\nlifetime = 100h\n' >"$T/rules"
does "by a configuration" "would-remove e-1 would-remove f-1" --dry-run --retention "$T/rules" "$STORE"
printf '[retention]\nlifetime = 89h\n' >"$T/rules"
does "its lifetime too" "would-remove f-1 would-remove f-2" --dry-run --retention "$T/rules" "$STORE"
says "a configuration that keeps all is no selection" 1 "session-rm: $T/conf: [[]retention] has neither idle nor lifetime" "$RM" --retention "$T/conf" "$STORE"
printf '[retention]\nidle = 1\n' >"$T/rules"
says "one with a fault names it" 1 "$T/rules:2: retention.idle: must be none, or *" "$RM" --retention "$T/rules" "$STORE"
does "a selection can be revoked" "revoked f-2" --revoke --expired "$STORE"
does "those that are, are not again" "" --revoke --expired "$STORE"

# At a terminal it asks.
cat >"$T/ask" <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
os.write(fd, sys.argv[1].encode() + b"\n")
text = b""
try:
    while more := os.read(fd, 65536):
        text += more
except OSError:
    pass
print(text.decode().replace("\r\n", "\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
got=$(timeout 20 python3 "$T/ask" n "$RM" --user eve "$STORE")
like "at a terminal it asks" "$?|$got" "1|*Remove 2 sessions of $STORE[?] [[]y/N] *nothing was removed*"
is "and no is no" "$(stored)" "e-1 e-2 f-1"
got=$(timeout 20 python3 "$T/ask" y "$RM" --idle 2d --user eve "$STORE")
like "yes is yes" "$?|$got" "0|*removed e-1 eve 20*"
does "without a terminal it does what it is told" "removed f-1" --idle 2d "$STORE"
is "what is left" "$(stored)" "e-2"

# Of a mount: who is in it is not idle, whatever the store says.
up
make g-1 gina
make g-2 gina
printf '#!/bin/sh\nexec %s --idle 1h --yes %s\n' "$RM" "$MNT" >"$T/take"
down
for s in g-1 g-2; do aged $s last_used 9; aged $s created 9; done
up
got=$(fst must fork 9 : must become 1000:1000 : must bind thread "$T/g-1.token" : in 9 run "$T/take" : get "$MNT/g-1/f")
like "an idle session goes, and one that is held stays" "$(xargs <<<"$got")" "removed g-2 gina 20*Z content"
is "which a bind has written to the store" "$(stored)" "e-2 g-1"

# -- damaged ones, and a pipe ------------------------------------------------------------------------------------------------------
make h-1 hans
down
name=$(basename "$(dirname "$(data h-1)")")
echo garbage >"$(data h-1)/../meta.json"
says "a damaged session is not chosen, and that is said" 1 "session-rm: session $name: meta.json: damaged" "$RM" --user hans "$STORE"
run "$RM" "$STORE" "$name"
is "it can be removed by its directory's name" "$status|$err|$out" "0||removed $name - -"
says "once" 1 "session-rm: session $name: no such session" "$RM" "$STORE" "$name"
run bash -c "'$RM' --dry-run --user eve '$STORE' >/dev/full"
like "a full disk behind it is told" "$status|$err" "1|session-rm: standard output: No space left on device"
says "another user's store is not touched" 1 "session-rm: $STORE: belongs to uid 0, not to uid 1000*" setpriv --reuid 1000 --clear-groups "$RM" "$STORE" e-2
finish
