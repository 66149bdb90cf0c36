#!/bin/bash
# SPDX-License-Identifier: MIT
# Sessions, and who is in them: session-ls.
. "${0%/*}/lib.sh"
. "${0%/*}/program.sh"

LS=$BUILD/session-ls
STORE=$T/store

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

# Holds a handle and a process binding to Ada's session and a thread's to Bob's, until it is told to end. The handle's two
# files are opened by a thread that nobody has bound, before there is a process binding; then the process opens a file and a
# directory, and what it had opened by a binding that is over; and Bob's thread, which is its first, a file that it closes.
cat >"$T/hold" <<'END'
import json, os, sys
mount, tokens = sys.argv[1:]
def bind(name, token, release="", fd=None):
    fd = fd or os.open(f"{mount}/.sessionfs/{name}", os.O_RDWR | os.O_CLOEXEC)
    os.write(fd, f"bind {open(f'{tokens}/{token}.token').read().strip()}{release}\n".encode())
    return fd
handle = bind("handle", "ada", " release=2026.01")
root = json.loads(os.read(handle, 4096))["path"]
held = [os.open(f"{mount}/{root}/f", os.O_RDONLY), os.open(f"{mount}/{root}/h", os.O_RDWR)]
process = bind("process", "ada")
held.append(os.open(f"{mount}/ada-1/f", os.O_RDONLY))
bind("process", "ada", fd=process)
held += [os.open(f"{mount}/ada-1/f", os.O_RDONLY), os.open(f"{mount}/ada-1/d", os.O_RDONLY | os.O_DIRECTORY)]
thread = bind("thread", "bob")
os.close(os.open(f"{mount}/bob-1/f", os.O_RDONLY))
held.append(os.open(f"{mount}/bob-1/f", os.O_RDONLY))
print("held", flush=True)
sys.stdin.read()
END
coproc HOLD { exec python3 "$T/hold" "$MNT" "$T"; }
read -r -t 20 said <&"${HOLD[0]}"
is "two sessions are held" "$said" held

lists "--live lists who holds what" "ada-1 ada-1 bob-1" --live --sort id "$MNT"
lists "a mount lists what its store does" "ada-1 bob-1 bob-2 carol-1 dora-1" --sort id "$MNT"
lists "a store is listed while it is mounted" "ada-1 bob-1 bob-2 carol-1 dora-1" --sort id "$STORE"
lists "a path below the mount leads to it" "ada-1 ada-1 bob-1" --live --sort id "$MNT/.sessionfs"
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
is "who, how many, and what" "$(awk '$1 == "ada-1" { print $2, $3, $4, $5, $10 }' "$T/out")" "ada@example.org live 2 4 2026.01"
is "a store knows no holders" "$("$LS" "$STORE" | awk '$1 == "ada-1" { print $3, $4 }')" "idle -"
is "sizes are exact" "$(awk '$1 == "bob-1" { print $6 }' "$T/out")" 200000
is "a line elsewhere than at a terminal is never cut" "$(COLUMNS=20 "$LS" --sort id "$MNT")" "$out"

# -- JSON --------------------------------------------------------------------------------------------------------------------------

shows "JSON: one object with the sessions" 'set(j) == {"sessions"} and sorted(s) == ["ada-1", "bob-1", "bob-2", "carol-1", "dora-1"]' "$MNT"
shows "each has the documented keys" 'all(set(x) == {"id", "user", "state", "holders", "open_files", "files", "bytes", "created", "used", "expires", "release", "name", "error"} for x in s.values())' "$MNT"
shows "times are RFC 3339" 'all(time(x[k]) for x in s.values() for k in ("created", "used", "expires"))' "$MNT"
shows "names are as they are" 's["carol-1"]["user"] == "ca rol\\ü" and s["carol-1"]["release"] is None and s["ada-1"]["release"] == "2026.01"' "$MNT"
shows "states are words" '[s[i]["state"] for i in sorted(s)] == ["live", "live", "idle", "idle", "revoked"]' "$MNT"
shows "files and bytes are numbers" 's["ada-1"]["files"] == 4 and type(s["bob-1"]["bytes"]) is int and s["bob-1"]["bytes"] == 200000 and s["bob-2"]["files"] == 0' "$MNT"
shows "a name is the session's in the store" "s['ada-1']['name'] == '$(basename "$(dirname "$(data ada-1)")")' and s['ada-1']['error'] is None" "$MNT"
shows "holders are objects" 'sorted(h["scope"] for h in s["ada-1"]["holders"]) == ["handle", "process"] and s["bob-2"]["holders"] == []' "$MNT"
shows "with the documented keys" "all({'scope', 'tid', 'pid', 'uid', 'comm', 'since', 'exp', 'open_files'} <= set(h) <= {'scope', 'tid', 'pid', 'uid', 'comm', 'since', 'exp', 'open_files', 'release'} and h['pid'] == $HOLD_PID and h['uid'] == 0 and time(h['since']) and time(h['exp']) for x in ('ada-1', 'bob-1') for h in s[x]['holders'])" "$MNT"
shows "a store has no word of holders" 'all(x["holders"] is None and x["open_files"] is None for x in s.values())' "$STORE"
shows "options choose and sort there too" '[x["id"] for x in j["sessions"]] == ["bob-1", "bob-2"]' --user bob --sort expires "$STORE"
unlike "neither a handle's name nor a token is in it" "$("$LS" --json "$MNT")" '*"~*'
for o in "" --json; do
	"$LS" $o "$MNT" >/dev/full 2>"$T/err"
	is "a listing ${o:-as a table} that a full disk swallows is a failure" "$?|$(<"$T/err")" "1|session-ls: standard output: No space left on device"
done

# -- who holds them ------------------------------------------------------------------------------------------------------------------

shows "open files are of the binding that opened them" '[(h["scope"], h["open_files"]) for x in ("ada-1", "bob-1") for h in sorted(s[x]["holders"], key=lambda h: h["scope"])] == [("handle", 2), ("process", 2), ("thread", 1)]' "$MNT"
shows "a session's own count has those of bindings that are over too" '[s[i]["open_files"] for i in sorted(s)] == [5, 1, 0, 0, 0]' "$MNT"
shows "--live has the same JSON" '[(x["id"], len(x["holders"]), x["files"]) for x in j["sessions"]] == [("ada-1", 2, 4), ("bob-1", 1, 1)]' --live --sort id "$MNT"
run "$LS" --live --sort id "$MNT"
is "holders: the titles are there" "$(head -1 "$T/out" | xargs)" "ID USER SCOPE PID TID COMM SINCE OPEN RELEASE"
is "each line has nine words" "$(awk 'NF != 9' "$T/out")" ""
is "who, how, and what" "$(awk '$1 == "ada-1" { print $2, $3, $4, $5, $6, $8, $9 }' "$T/out" | sort)" \
	"ada@example.org handle $HOLD_PID $HOLD_PID python3 2 2026.01"$'\n'"ada@example.org process $HOLD_PID $HOLD_PID python3 2 -"
is "since when" "$(awk 'NR > 1 { print $7 }' "$T/out" | grep -cE '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$')" 3
lists "--live of one user" "bob-1" --live --user bob "$MNT"
lists "in the order of their sessions" "bob-1 ada-1 ada-1" --live --sort bytes "$MNT"
shown=$(terminal 80 "$LS" --live --sort id "$MNT")
is "at a terminal of 80 columns nothing is cut" "$(awk '/[+]/ || length > 80' <<<"$shown")" ""
like "and times are short" "$(grep '^bob-1' <<<"$shown" | awk '{ print $7 }')" '[0-9]*[sm]'
# As wide as the numbers of processes make it, less three columns.
narrow=$(($(terminal 400 "$LS" --live --sort id "$MNT" | awk 'length > n { n = length } END { print n }') - 3))
is "at a narrower one names are" "$(terminal $narrow "$LS" --live --sort id "$MNT" | awk -v w="$narrow" 'length > w { wide++ } /^ada-1 .*[+] / { cut++ } END { print wide + 0, cut }')" "0 2"

# -- watching -----------------------------------------------------------------------------------------------------------------------

says "--watch is for who is there" 2 "session-ls: --watch needs --live" "$LS" --watch "$MNT"
says "and needs somebody to look" 2 "session-ls: --watch needs a terminal, or --json" "$LS" --live --watch "$MNT"
for n in "" 0 0.05 3601 -1 nan inf 1e3 0x10 " 1" 1s .; do
	says "'$n' is no time to watch at" 2 "session-ls: --watch=$n: must be a number of seconds from 0.1 to 3600" "$LS" --live --json --watch="$n" "$MNT"
done
says "watching what is no mount ends at once" 2 "session-ls: $STORE: --live needs a mount*" "$LS" --live --json --watch "$STORE"

cat >"$T/some" <<'END'
import json, subprocess, sys, time
began = time.monotonic()
ls = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
lines = [ls.stdout.readline() for _ in range(3)]
took = time.monotonic() - began
ls.kill()
print([sorted(x["id"] for x in json.loads(line)["sessions"]) for line in lines], took >= 0.6)
END
is "in JSON: a document a line, each so many seconds" "$(timeout -k 5 20 python3 "$T/some" "$LS" --live --json --watch=0.3 "$MNT")" \
	"[['ada-1', 'bob-1'], ['ada-1', 'bob-1'], ['ada-1', 'bob-1']] True"

# watches CLAIM WANT SIZE STEPS [WORDS…]: see screen.py.
watches() {
	local claim=$1 want=$2 size=$3 steps=$4
	shift 4
	is "$claim" "$(TERM=xterm timeout -k 5 60 python3 "$HERE/screen.py" "$size" "$@" "$LS" --live --sort id --watch="${WATCH:-0.2}" "$MNT" 2>&1 <<<"$steps")" "$want"
}
watches "at a terminal: a screen, until q" "0 as it was" 24x80 $'expect 2 sessions, 3 holders\nexpect ada-1 .*\\n.*ada-1 .*\\n.*bob-1 \nkey q\nend'
watches "or Ctrl-C" "0 as it was" 24x80 $'expect bob-1\nkey ^C\nend'
watches "Ctrl-Z does not leave it half-way" "0 as it was" 24x80 $'expect bob-1\nkey ^Z\nkey q\nend'
for signal in TERM:15 HUP:1 QUIT:3; do
	watches "SIG${signal%:*} ends it, and the terminal is as it was" "-${signal#*:} as it was" 24x80 $'expect bob-1\nsignal '"${signal%:*}"$'\nend'
done
WATCH=3600 watches "it follows the window's size" $narrow$'\n0 as it was' 24x80 $'expect ada@example.org\nsize 24x'"$narrow"$'\nexpect ada@exa[a-z.]*[+]\nwidest\nkey q\nend'
watches "a low window shows what fits" $'4\n0 as it was' 4x80 $'expect ada-1\nlines\nkey q\nend'
WATCH=3600 watches "and more when it grows" $'0 as it was' 4x80 $'expect ada-1\nsize 24x80\nexpect bob-1\nkey q\nend'
token eve eve eve-1
cat >"$T/eve" <<END
#!/bin/sh
exec setsid "$BUILD/session-exec" --token-file "$T/eve.token" "$MNT" -- sh -c 'echo \$\$ >"$T/eve.pid"; exec sleep 60' >/dev/null 2>&1 &
END
chmod 755 "$T/eve"
watches "who comes is seen, and who goes" "0 as it was" 24x80 \
	$'expect bob-1\nrun '"$T/eve"$'\nexpect eve-1 +eve +process .* sleep \nrun kill $(cat '"$T/eve.pid"$')\nexpect 2 sessions, 3 holders\nkey q\nend'
WATCH=3600 watches "the space bar looks at once" "0 as it was" 24x80 \
	$'expect bob-1\nrun rm '"$T/eve.pid; $T/eve; timeout 20 sh -c 'until test -s $T/eve.pid; do sleep 0.1; done'"$'\nkey space\nexpect eve-1\nrun kill $(cat '"$T/eve.pid"$')\nkey q\nend'
kill -STOP "$DAEMON"
is "a daemon that hangs does not keep it: there is nothing to show, and Ctrl-C ends it" \
	"$(TERM=xterm timeout -k 5 60 python3 "$HERE/screen.py" 24x80 "$LS" --live --watch=0.2 "$MNT" 2>&1 <<<$'key ^C\nend')" "-2 as it was"
kill -CONT "$DAEMON"
watches "nor does one that hangs later" "0 as it was" 24x80 $'expect bob-1\nrun kill -STOP '"$DAEMON"$'\nrun sleep 0.5\nkey q\nend\nrun kill -CONT '"$DAEMON"
kill -CONT "$DAEMON"
is "a terminal that can't be drawn on is left alone" "$(TERM=dumb timeout -k 5 60 python3 "$HERE/screen.py" 24x80 "$LS" --live --watch "$MNT" 2>&1 <<<$'expect TERM is dumb\nend')" \
	"1 as it was"

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
# This program, and not another test's.
asks() {
	local p comm
	for p in /proc/[0-9]*; do
		read -r comm <"$p/comm" && [[ $comm = session-ls && $(readlink "$p/exe") = "$LS" && $(<"$p/wchan") = request_wait_answer ]] && return 0
	done 2>/dev/null
	return 1
}
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
rm -rf "$(dirname "$(data "$long")")" "$(dirname "$(data dora-1)")" "$(dirname "$(data eve-1)")"
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
