#!/bin/bash
# SPDX-License-Identifier: MIT
# Usage outlives the daemon, and is repaired.
. "${0%/*}/lib.sh"
. "${0%/*}/quota.sh"

LS=$BUILD/session-ls
crash() {
	kill -KILL "$DAEMON"
	await gone "$DAEMON"
	umount -l "$MNT"
	DAEMON=
}
usage_files() { ls "$(dirname "$(data "${1-alice-1}")")/usage"; }

# -- restarts ----------------------------------------------------------------------------------------------------------------
up limits.session_bytes=1M limits.session_files=100
says "some of it is used" "300000 0 0" must f=open "$A/f" O_RDWR,O_CREAT : fill @f 5000 300000 : mkdir "$A/d"
down
is "an orderly end leaves an exact line" "$(ledger alice-1) $(ledger alice-1 granted) $(ledger alice-1 exact)" "300000 2 300000 2 True"
up limits.session_bytes=301000
says "which holds after a restart" "1000 EDQUOT" must f=open "$A/f" O_WRONLY,O_APPEND : fill @f 100 10000
agree "to the byte" alice-1
version() { grep -o '"version":[0-9]*' "$(dirname "$(data alice-1)")"/usage/*.json; }
for how in 'pwrite @f x 0' 'fallocate @f extend 0 100' 'truncate @f 301000'; do
	before=$(version)
	# shellcheck disable=SC2086
	says "${how/@f/within a file}" "1|0" must f=open "$A/f" O_RDWR : $how
	ok "opens the line, though nothing grows by it" [ "$(version)" != "$before" ]
	agree "and it is closed again" alice-1
done

fresh limits.session_bytes=1G
"$FLOOD" "$MNT" "$T/alice.token" own 1 5000 100000 >/dev/null 2>&1 & # it will be in the middle of it
writes() { [[ -s $(data alice-1)/flood-0 && $(ledger alice-1 exact) = False ]]; }
await writes
crash
wait $!
granted=$(ledger alice-1 granted) bytes=$(tree alice-1 | cut -d' ' -f1)
is "a daemon that is killed leaves a line with more than there is" "$(ledger alice-1 exact) $([[ ${granted% *} -gt $bytes ]] && echo more)" "False more"
more=$((bytes + 100000))
up limits.session_bytes=$more
says "until it is counted nothing may grow beyond" "EDQUOT" truncate "$A/flood-0" $((more + 1))
says "and it is counted at the next bind" "0" until 0 truncate "$A/flood-0" $more
agree "to the byte" alice-1
says "so that the limit is where it should be" "EDQUOT" truncate "$A/flood-0" $((more + 1))
is "the log says so" "$(grep -c 'counted anew' "$T/log")" 1

fresh limits.session_bytes=400000
says "killed with a removed file open" "400000 0" must f=open "$A/f" O_RDWR,O_CREAT : fill @f 5000 400000
fst must bind process "$T/alice.token" : must f=open "$A/f" O_RDWR : must unlink "$A/f" : run kill -KILL "$DAEMON" >/dev/null 2>&1
await gone "$DAEMON"
umount -l "$MNT"
DAEMON=
up limits.session_bytes=400000
says "its bytes are there again" "0 0" until 0 put "$A/g" new : until 0 truncate "$A/g" 400000
agree "and it is counted" alice-1

# -- garbage -------------------------------------------------------------------------------------------------------------------
fresh limits.session_bytes=100000
says "a session of 80,000 bytes" "0" must f=open "$A/f" O_RDWR,O_CREAT : truncate @f 80000
for garbage in '' '{' '{"version":1,"run":"0123456789abcdef","used":[0,0],"granted":[0,0]}' \
	'{"version":1,"run":"0123456789abcdef","open":true,"used":[5,0],"granted":[0,0],"held":[0,0]}' \
	'{"version":1,"run":"0123456789abcdef","used":[-9e99,0],"granted":[0,0],"held":[0,0]}' \
	'{"version":-1,"run":"0123456789abcdef","used":[0,0],"granted":[0,0],"held":[0,0]}' '{"version":1,"used":[0,0],"granted":[0,0],"held":[0,0]}' \
	"$(printf 'x%.0s' {1..5000})"; do
	down
	for f in $(usage_files); do printf %s "$garbage" >"$(dirname "$(data alice-1)")/usage/$f"; done
	up limits.session_bytes=100000
	says "with ${garbage:0:30}... for its usage the limit holds" "EDQUOT 0 EDQUOT 0" truncate "$A/f" 100001 : truncate "$A/f" 100000 : put "$A/g" x : unlink "$A/g"
done
agree "and its ledger is mended" alice-1
printf '{"used":[' >"$(dirname "$(data alice-1)")/usage/base"
says "garbage in the base while it is in use" "0 EDQUOT 0" truncate "$A/f" 90000 : until EDQUOT truncate "$A/f" 100001 : until 0 truncate "$A/f" 100000
agree "is mended too" alice-1

# -- what was there before anybody counted ---------------------------------------------------------------------------------------
fresh
says "a session of before there were limits" 0 put "$A/f" x
down
(cd "$(data alice-1)" && seq 5000 | xargs touch)
up limits.session_files=5002
says "too large to be counted in a bind, it does not grow before it was" "EDQUOT 0 EDQUOT" mkdir "$A/d" : until 0 mkdir "$A/d" : mkdir "$A/e"
agree "and then all is counted" alice-1
token less alice alice-1 --claim session_bytes=100000
fresh
is "in use without limits, it is counted when a token brings one; also a file that is open and loses its name" \
	"$(fst -u 1000:1000 must fork 1 : must fork 2 : must in 1 bind process "$T/alice.token" : must in 1 f=open "$A/f" O_RDWR,O_CREAT : must in 1 truncate @f 60000 \
	: must in 2 bind process "$T/less.token" : until 0 in 2 put "$A/g" x : must in 1 unlink "$A/f" : in 1 truncate @f 70000 : in 2 truncate "$A/g" 30001 \
	: in 2 truncate "$A/g" 30000 : in 1 close @f : until 0 in 2 truncate "$A/g" 100000)" $'0\n0\nEDQUOT\n0\n0\n0'
agree "until it is closed" alice-1

# -- session-ls ------------------------------------------------------------------------------------------------------------------
fresh limits.session_bytes=1G
"$FLOOD" "$MNT" "$T/alice.token" churn 4 5000 3000000 >/dev/null 2>&1 &
busy() { [[ $(ledger alice-1 exact) = False ]]; }
await busy
like "a session in use is left to its instance" "$("$LS" --recount "$T/store")" '*alice-1: in use; its instance counts it*0 sessions counted, 0 changed, 1 in use*'
kill $!
wait $! 2>/dev/null
agree "which does it" alice-1
fresh limits.session_bytes=1M
says "a session that is full" 0 must h=open "$A/h" O_RDWR,O_CREAT : truncate @h 1M
down
listed() { "$LS" --json "$T/store" | python3 -c 'import json, sys; s = json.load(sys.stdin)["sessions"][0]; print(s["bytes"], s["files"])'; }
is "session-ls shows what the ledger says" "$(listed)" "$(tree alice-1)"
printf x >"$(data alice-1)/behind"
unlike "not what was put there behind it" "$(listed)" "$(tree alice-1)"
read -r bytes files <<<"$(tree alice-1)"
is "--recount tells what it changed" "$("$LS" --recount "$T/store")" \
	"alice-1: bytes $((bytes - 1)) -> $bytes, files $((files - 1)) -> $files"$'\n'"1 sessions counted, 1 changed"
is "then it is shown" "$(listed)" "$(tree alice-1)"
is "and once is enough" "$("$LS" --json --recount "$T/store" | tr -d ' \n')" '{"counted":1,"changed":[],"in_use":[]}'
up limits.session_bytes=1M
says "and counts" "EDQUOT" put "$A/i" x
truncate -s 0 "$(data alice-1)/h"
ok "by a live daemon as well" test -n "$("$LS" --recount "$MNT")"
says "which takes note" "0" until 0 put "$A/i" x
agree "and agrees" alice-1

finish
