#!/bin/bash
# SPDX-License-Identifier: MIT
# Sessions, and who is in them: session-ls.
. "${0%/*}/lib.sh"

LS=$BUILD/session-ls
STORE=$T/store

# run CMD…: its status, what it prints and what it complains of, for says().
run() {
	timeout -k 5 20 "$@" >"$T/out" 2>"$T/err" </dev/null
	status=$?
	out=$(<"$T/out") err=$(<"$T/err")
}
# says CLAIM STATUS PATTERN CMD…: nothing on stdout, and the pattern matches what is on stderr.
says() {
	local claim=$1 want=$2 pattern=$3
	shift 3
	run "$@"
	like "$claim" "$status|${#out}|$err" "$want|0|$pattern"
}
# lists CLAIM WANT ARGUMENT…: the ids that are listed, in this order, and no complaint.
lists() {
	local claim=$1 want=$2
	shift 2
	run "$LS" "$@"
	is "$claim" "$status|$err|$(awk 'NR > 1 { print $1 }' "$T/out" | xargs)" "0||$want"
}
# shows CLAIM PYTHON-EXPRESSION ARGUMENT…: of the JSON, with s for its sessions by id; it has to be true.
shows() {
	local claim=$1 what=$2
	shift 2
	run "$LS" --json "$@"
	is "$claim" "$(python3 -c '
import json, re, sys
j = json.load(open(sys.argv[1]))
s = {x["id"]: x for x in j["sessions"]}
time = lambda t: bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", t))
print(eval(sys.argv[2]))' "$T/out" "$what" 2>&1 | tail -1)" True
}
# terminal COLUMNS CMD…: what a terminal of that width is given, stdout and stderr; its status.
cat >"$T/terminal" <<'END'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 24, int(sys.argv[1]), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
text = b""
while True:
    try:
        more = os.read(fd, 65536)
    except OSError:
        break
    if not more:
        break
    text += more
sys.stdout.buffer.write(text.replace(b"\r\n", b"\n"))
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
terminal() { timeout -k 5 20 python3 "$T/terminal" "$@" </dev/null; }

# -- misuse ----------------------------------------------------------------------------------------------------------------

says "a store or a mount is needed" 2 "usage: session-ls *" "$LS"
says "one of them" 2 "usage: session-ls *" "$LS" "$STORE" "$STORE"
says "an unknown option is misuse" 2 "*session-ls: unrecognized option '--long'" "$LS" --long "$STORE"
for key in "" none release ID 'id ' i; do
	says "'$key' is no key to sort by" 2 "session-ls: --sort $key: unknown key (see --help)" "$LS" --sort "$key" "$STORE"
done

# -- what is no store, and a store with nothing in it ---------------------------------------------------------------------------

mkdir -m 700 "$T/empty"
says "a directory that is nothing says so" 1 "session-ls: $T/empty: not a store: ?* [(]and no sessionfs is mounted there)" "$LS" "$T/empty"
ok "and is not made one" rmdir "$T/empty"
says "nothing is none" 1 "session-ls: $T/none: No such file or directory*" "$LS" "$T/none"
says "a file is none" 1 "session-ls: $T/conf: Not a directory*" "$LS" "$T/conf"
up
says "who is in it, a store can not tell" 2 "session-ls: $STORE: --live needs a mount: only its daemon knows who is in a session" \
	"$LS" --live "$STORE"
lists "an empty store is a listing of nothing" "" "$STORE"
lists "and so is its mount" "" "$MNT"
is "the titles are there" "$(xargs <"$T/out")" "ID USER STATE HOLDERS FILES BYTES CREATED USED EXPIRES RELEASE"
run "$LS" --json "$STORE"
is "JSON of nothing is JSON" "$status|$err|$out" '0||{"sessions": []}'

# -- four sessions: two that are held, one that is not, one that is revoked -------------------------------------------------------

token ada ada@example.org ada-1 --ttl 3h
token bob bob bob-1 --ttl 1h
token carol 'ca rol\ü' carol-1 --ttl 2h
token dora dora dora-1 --ttl 4h
token bob2 bob bob-2 --ttl 5h
for pair in "ada:ada-1" "bob:bob-1"; do
	fst -b "thread:$T/${pair%:*}.token" put "$MNT/${pair#*:}/f" text >/dev/null
done
fst -b "thread:$T/ada.token" must mkdir "$MNT/ada-1/d" : must put "$MNT/ada-1/d/g" text : must put "$MNT/ada-1/h" text >/dev/null
fst -b "thread:$T/bob.token" must truncate "$MNT/bob-1/f" 0 >/dev/null
for name in carol dora bob2; do fst -b "thread:$T/$name.token" stat "$MNT" >/dev/null; done
head -c 200000 /dev/urandom >"$(data bob-1)/f"
echo "revoke dora-1" >"$MNT/.sessionfs/admin"

# Holds a handle and a process binding to Ada's session and a thread's to Bob's, until it is told to end.
cat >"$T/hold" <<'END'
import os, sys
mount, tokens = sys.argv[1:]
held = []
for name, token, release in ("handle", "ada", " release=2026.01"), ("process", "ada", ""), ("thread", "bob", ""):
    fd = os.open(f"{mount}/.sessionfs/{name}", os.O_RDWR | os.O_CLOEXEC)
    os.write(fd, f"bind {open(f'{tokens}/{token}.token').read().strip()}{release}\n".encode())
    held.append(fd)
print("held", flush=True)
sys.stdin.read()
END
coproc HOLD { exec python3 "$T/hold" "$MNT" "$T"; }
read -r -t 20 said <&"${HOLD[0]}"
is "two sessions are held" "$said" held

lists "--live lists what somebody holds" "ada-1 bob-1" --live --sort id "$MNT"
lists "a mount lists what its store does" "ada-1 bob-1 bob-2 carol-1 dora-1" --sort id "$MNT"
lists "a store is listed while it is mounted" "ada-1 bob-1 bob-2 carol-1 dora-1" --sort id "$STORE"
lists "a path below the mount leads to it" "ada-1 bob-1" --live --sort id "$MNT/.sessionfs"
lists "--user lists one user's" "bob-1 bob-2" --sort id --user bob "$MNT"
lists "whose name is exact" "" --user bo "$MNT"
lists "whatever it is made of" "carol-1" --user 'ca rol\ü' "$STORE"
lists "--live and --user hold both" "bob-1" --live --user bob "$MNT"
lists "holders: the most first" "ada-1 bob-1 bob-2 carol-1 dora-1" --sort holders "$MNT"
lists "files: the most first" "ada-1 bob-1 bob-2 carol-1 dora-1" --sort files "$MNT"
lists "bytes: the most first" "bob-1 ada-1 bob-2 carol-1 dora-1" --sort bytes "$MNT"
lists "users in their order" "ada-1 bob-1 bob-2 carol-1 dora-1" --sort user "$MNT"
lists "expiry: what ends first" "bob-1 carol-1 ada-1 dora-1 bob-2" --sort expires "$MNT"
lists "state: live, idle, revoked" "ada-1 bob-1 bob-2 carol-1 dora-1" --sort state "$MNT"

run "$LS" --sort id "$MNT"
is "each line has ten words" "$(awk 'NF != 10' "$T/out")" ""
is "what is no visible character of the locale is escaped" "$(awk '$1 == "carol-1" { print $2 }' "$T/out")" 'ca\x20rol\x5c\xc3\xbc'
is "in its own locale it is shown" "$(LC_ALL=C.UTF-8 "$LS" "$MNT" | awk '$1 == "carol-1" { print $2 }')" 'ca\x20rol\x5cü'
is "who, how many, and what" "$(awk '$1 == "ada-1" { print $2, $3, $4, $5, $10 }' "$T/out")" "ada@example.org live 2 3 2026.01"
is "a store knows no holders" "$("$LS" "$STORE" | awk '$1 == "ada-1" { print $3, $4 }')" "idle -"
is "sizes are exact" "$(awk '$1 == "bob-1" { print ($6 >= 200000), $6 % 512 }' "$T/out")" "1 0"
is "a line elsewhere than at a terminal is never cut" "$(COLUMNS=20 "$LS" --sort id "$MNT")" "$out"

# -- JSON --------------------------------------------------------------------------------------------------------------------------

shows "JSON: one object with the sessions" 'set(j) == {"sessions"} and sorted(s) == ["ada-1", "bob-1", "bob-2", "carol-1", "dora-1"]' "$MNT"
shows "each has the documented keys" 'all(set(x) == {"id", "user", "state", "holders", "files", "bytes", "created", "used", "expires", "release", "name", "error"} for x in s.values())' "$MNT"
shows "times are RFC 3339" 'all(time(x[k]) for x in s.values() for k in ("created", "used", "expires"))' "$MNT"
shows "names are as they are" 's["carol-1"]["user"] == "ca rol\\ü" and s["carol-1"]["release"] is None and s["ada-1"]["release"] == "2026.01"' "$MNT"
shows "states are words" '[s[i]["state"] for i in sorted(s)] == ["live", "live", "idle", "idle", "revoked"]' "$MNT"
shows "files and bytes are numbers" 's["ada-1"]["files"] == 3 and type(s["bob-1"]["bytes"]) is int and s["bob-1"]["bytes"] >= 200000 and s["bob-2"]["files"] == 0' "$MNT"
shows "a name is the session's in the store" "s['ada-1']['name'] == '$(basename "$(dirname "$(data ada-1)")")' and s['ada-1']['error'] is None" "$MNT"
shows "holders are objects" 'sorted(h["scope"] for h in s["ada-1"]["holders"]) == ["handle", "process"] and s["bob-2"]["holders"] == []' "$MNT"
shows "with the documented keys" "all({'scope', 'tid', 'pid', 'uid', 'comm', 'since', 'exp'} <= set(h) <= {'scope', 'tid', 'pid', 'uid', 'comm', 'since', 'exp', 'release'} and h['pid'] == $HOLD_PID and h['uid'] == 0 and time(h['since']) and time(h['exp']) for x in ('ada-1', 'bob-1') for h in s[x]['holders'])" "$MNT"
shows "a store has no word of holders" 'all(x["holders"] is None for x in s.values())' "$STORE"
shows "options choose and sort there too" '[x["id"] for x in j["sessions"]] == ["bob-1", "bob-2"]' --user bob --sort expires "$STORE"
unlike "neither a handle's name nor a token is in it" "$("$LS" --json "$MNT")" '*"~*'
for o in "" --json; do
	"$LS" $o "$MNT" >/dev/full 2>"$T/err"
	is "a listing ${o:-as a table} that a full disk swallows is a failure" "$?|$(<"$T/err")" "1|session-ls: standard output: No space left on device"
done

# -- at a terminal -------------------------------------------------------------------------------------------------------------------

long=$(printf 'x%.0s' {1..120})
token long "$long@example.org" "$long" --ttl 1h
fst -b "thread:$T/long.token" stat "$MNT" >/dev/null
shown=$(terminal 80 "$LS" --sort id "$MNT")
is "at a terminal no line is wider" "$(awk 'length > 80' <<<"$shown")" ""
is "its titles are short" "$(head -1 <<<"$shown" | xargs)" "ID USER STATE HELD FILES BYTES AGE USED LEFT RELEASE"
like "what is cut says so" "$(tail -1 <<<"$shown")" 'xxxxxx*+ xxxx*+ *'
is "and the rest is whole" "$(grep -c '^\(ada-1\|bob-1\|bob-2\|carol-1\|dora-1\) ' <<<"$shown")" 5
like "sizes and times are short" "$(grep '^bob-1' <<<"$shown" | awk '{ print $6, $7, $9 }')" '1[0-9][0-9]K [0-9]*[sm] [56][09]m'
is "a wide one shows all" "$(terminal 400 "$LS" "$MNT" | grep -c "^$long $long@example.org ")" 1
is "a narrow one cuts no more than it may" "$(terminal 10 "$LS" --sort id "$MNT" | awk 'NR == 2 { print $1, $3, $4 }')" "ada-1 live 2"
is "JSON is the same at a terminal" "$(terminal 80 "$LS" --json --sort id "$MNT")" "$("$LS" --json --sort id "$MNT")"
unlike "a quick listing shows no progress" "$shown" '*'$'\e''*'

# slow CMD…: while the daemon is held for longer than a second. The command is there when the daemon has its request.
slow() {
	kill -STOP "$DAEMON"
	"$@" >"$T/slow" 2>"$T/slow.err" &
	local job=$!
	await asks && sleep 1.1
	kill -CONT "$DAEMON"
	wait "$job"
}
asks() { grep -qs request_wait_answer /proc/[0-9]*/wchan; }
slow terminal 80 "$LS" "$MNT"
like "one that takes longer than a second shows it at a terminal" "$(<"$T/slow")" '*'$'\r''* sessions read'$'\e''*'
like "and clears the line when it is done" "$(tr '\r\n' '%%' <"$T/slow")" '*sessions*%'$'\e''\[KID *'
slow "$LS" "$MNT"
is "elsewhere it does not" "$(<"$T/slow.err")$(grep -c 'sessions' "$T/slow")" 0
is "nor to a file from a terminal" "$(slow terminal 80 sh -c "'$LS' '$MNT' 2>'$T/to-file' >/dev/null"; cat "$T/to-file" "$T/slow")" ""

# -- who may ask -----------------------------------------------------------------------------------------------------------------------

install -m 755 "$LS" "$T/ls"
user=(setpriv --reuid 1000 --regid 1000 --clear-groups)
says "a mount answers root alone" 1 "ls: $MNT: .sessionfs/sessions: Permission denied (it is for root alone)" "${user[@]}" "$T/ls" "$MNT"
says "a store its owner" 1 "ls: $STORE: *" "${user[@]}" "$T/ls" "$STORE"

eval "exec ${HOLD[1]}>&-"
wait "$HOLD_PID"
live() { [[ $("$LS" --live "$MNT" | wc -l) = 1 ]]; }
ok "when the holders have ended, nobody is there" await live

# -- the store alone: times, and what is damaged -------------------------------------------------------------------------------------------

down
python3 - "$(data ada-1)" "$(data bob-1)" "$(data carol-1)" "$(data bob-2)" <<'END'
import json, os, sys
times = [("2026-01-01", "2026-01-08", "2099-01-01"), ("2026-01-03", "2026-01-05", "2020-01-01"),
         ("2026-01-02", "2026-01-06", "2098-01-01"), ("2026-01-04", None, None)]
for data, (created, used, expires) in zip(sys.argv[1:], times):
    path = os.path.dirname(data) + "/meta.json"
    meta = json.load(open(path))
    for key, day in ("created", created), ("last_used", used), ("expires", expires):
        meta.pop(key, None)
        if day:
            meta[key] = day + "T00:00:00Z"
    with open(path, "w") as f:
        f.write(json.dumps(meta) + "\n")
END
rm -rf "$(dirname "$(data "$long")")" "$(dirname "$(data dora-1)")"
lists "created: the newest first" "bob-2 bob-1 carol-1 ada-1" --sort created "$STORE"
lists "used: the last first, and never last" "ada-1 carol-1 bob-1 bob-2" --sort used "$STORE"
lists "which is the default" "ada-1 carol-1 bob-1 bob-2" "$STORE"
lists "expires: what ends first, and what does not end last" "bob-1 carol-1 ada-1 bob-2" --sort expires "$STORE"
is "times are RFC 3339, or none" "$("$LS" --sort id "$STORE" | awk '$1 ~ /^bob/ { print $3, $7, $8, $9 }' | xargs)" \
	"expired 2026-01-03T00:00:00Z 2026-01-05T00:00:00Z 2020-01-01T00:00:00Z idle 2026-01-04T00:00:00Z - -"
shows "in JSON too" 's["bob-1"]["expires"] == "2020-01-01T00:00:00Z" and s["bob-2"]["expires"] is None and s["bob-2"]["used"] is None' "$STORE"

name=$(basename "$(dirname "$(data carol-1)")")
echo '{' >"$STORE/sessions/${name:0:2}/$name/meta.json"
run "$LS" "$STORE"
is "a damaged session is named, and the rest is listed" "$status|$err|$(awk 'NR > 1 { print $1 }' "$T/out" | sort | xargs)" \
	"1|session-ls: session $name: meta.json: damaged|$(printf '%s\n' ada-1 bob-1 bob-2 "$name" | sort | xargs)"
is "as broken" "$(awk -v n="$name" '$1 == n { print $2, $3, NF }' "$T/out")" "- broken 10"
shows "in JSON with the reason" "s[None]['state'] == 'broken' and s[None]['error'] == 'damaged' and s[None]['user'] is None and s[None]['name'] == '$name' and s['ada-1']['error'] is None" "$STORE"
chown 1000 "$STORE"
says "another's store is not listed" 1 "session-ls: $STORE: belongs to uid 1000, not to uid 0*" "$LS" "$STORE"

finish
