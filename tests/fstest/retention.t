#!/bin/bash
# SPDX-License-Identifier: MIT
# Sessions that are too old are removed, by one of several daemons, and never under one who was told that it is his.
LIMIT=280
. "${0%/*}/lib.sh"

value() { awk -v n="$2" 'index($0, n " ") == 1 { print $NF; found = 1 } END { if (!found) print 0 }' "$1/.sessionfs/metrics"; }

# plant SID SUB HOURS: a session in the store that was made and used so long ago, with a file f.
cat >"$T/plant" <<'END'
import datetime, hashlib, json, os, sys
store, hours, *pairs = sys.argv[1:]
then = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=float(hours))).strftime("%Y-%m-%dT%H:%M:%SZ")
for pair in pairs:
    sid, sub = pair.split(":")
    name = hashlib.blake2b(sid.encode(), digest_size=32).hexdigest()
    d = f"{store}/sessions/{name[:2]}/{name}"
    os.makedirs(d + "/data")
    os.chmod(d + "/data", 0o777)
    open(d + "/data/f", "w").write("old")
    open(d + "/meta.json", "w").write(json.dumps({"version": 1, "sub": sub, "sid": sid, "created": then, "last_used": then}) + "\n")
END
plant() { python3 "$T/plant" "$T/store" "$1" "${@:2}"; }
meta() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$(data "$1")/../meta.json" "$2"; }
recent() { # SID: used within the last half minute, as the store has it
	python3 -c 'import datetime, sys
t = datetime.datetime.fromisoformat(sys.argv[1].replace("Z", "+00:00"))
sys.exit(not -5 < (datetime.datetime.now(datetime.timezone.utc) - t).total_seconds() < 30)' "$(meta "$1" last_used)"; }
there() { [[ -e $(data "$1") ]]; }
not_there() { ! there "$1"; }

up
down # a store to plant in

# -- idle ------------------------------------------------------------------------------------------------------------------
for n in old young held; do token "$n" "$n" "$n-1"; done
plant 50 old-1:old held-1:held
plant 1 young-1:young
up retention.idle=48h
ok "a session that was not used for long goes" await not_there old-1
ok "the one who comes back a little later gets an empty one" eval '[[ $(fst -b "thread:$T/old.token" ls "$MNT/old-1") = "(empty)" ]]'
ok "one that was used stays" there young-1
await not_there held-1
is "that is counted" "$(value "$MNT" 'sessionfs_sessions_removed_total{reason="idle"}')" 2
is "and audited" "$(audit event=remove reason=idle target=old-1 sub=old | wc -l)" 1
trashed() { [[ -z $(ls -A "$T/store/trash" "$T/store/leaving" | grep -v : ) && $(value "$MNT" sessionfs_trash_entries) = 0 ]]; }
ok "what they held is deleted" await trashed
down

# -- a bind writes that it is one, before it is acknowledged -----------------------------------------------------------------------
plant 2 back-1:back
token back back back-1
up # without idle: others may have one
is "a session that was not used for some time is bound" "$(fst must bind thread "$T/back.token" : get "$MNT/back-1/f" : run cat "$(data back-1)/../meta.json" | head -1)" old
ok "and the store had it before the bind was over" recent back-1
down

# -- lifetime ----------------------------------------------------------------------------------------------------------------------
plant 30 life-1:life
token life life life-1
up
cat >"$T/strict" <<END
#!/bin/sh
exec $BUILD/sessionfs -c $T/conf -o audit.to=$T/audit2,daemon.name=two,retention.lifetime=24h $T/store $TWO >$T/log2 2>&1 </dev/null
END
chmod 755 "$T/strict"
got=$(fst must fork 9 : must become 1000:1000 : must thread 1 : must h=bind handle "$T/life.token" : must bind thread "$T/life.token" : must d=open "$MNT/life-1" O_DIRECTORY \
	: get "$MNT/life-1/f" : must in 1 get "$MNT/%h/f" : must in 9 run "$T/strict" : until EKEYREVOKED get "$MNT/life-1/f" : ls @d : in 1 get "$MNT/%h/f")
is "past its lifetime a session ends for those who are in it, on another instance too" "$(xargs <<<"$got")" "old EKEYREVOKED EKEYREVOKED EKEYREVOKED"
SECOND=$(daemon_of "$T/store" "$TWO")
ok "and is gone" not_there life-1
ok "others stay" there young-1
is "it is counted" "$(value "$TWO" 'sessionfs_sessions_removed_total{reason="lifetime"}')" 1
stop_second
down

# -- revoked ones stay as long as a token may be good --------------------------------------------------------------------------------
plant 50 gone-1:gone
token gone gone gone-1
"$BUILD/session-rm" --revoke "$T/store" gone-1 >/dev/null
plant 50 mark-1:mark
up retention.idle=1h
ok "a walk has come by" await not_there mark-1
is "a revoked session is not forgotten while a token from before may be good" "$(fst bind thread "$T/gone.token")" EKEYREVOKED
down

# -- users who come back at the very moment, with two daemons that remove ----------------------------------------------------------------
# Some hundred sessions that are due, and a user of each who comes while they are being removed. Whoever was told that a
# session is his, with what it held or empty, must have it so at the end.
cat >"$T/race" <<'END'
import errno, os, random, sys, time
mounts, tokens, count = sys.argv[1:3], sys.argv[3], int(sys.argv[4])
held, empty, full, refused, lost = [], 0, 0, 0, []
order = list(range(count))
random.shuffle(order)
for n, i in enumerate(order):
    mount = mounts[n % 2]
    token = open(f"{tokens}/race-{i}.token").read().strip()
    fd = os.open(f"{mount}/.sessionfs/handle", os.O_RDWR)
    os.write(fd, f"bind {token}\n".encode())
    root = f"{mount}/" + __import__("json").loads(os.read(fd, 8192))["path"]
    # Out of its place for a moment is a moment: a removal that is being undone.
    for attempt in range(50):
        try:
            names = os.listdir(root)
            break
        except OSError as e:
            if e.errno != errno.ENOENT or attempt == 49:
                raise
            time.sleep(0.02)
    had = "f" in names
    full, empty = full + had, empty + (not had)
    if not had:
        open(f"{root}/f", "w").write("new")
    held.append((fd, root, "old" if had else "new", i))
    time.sleep(0.03)
deadline = time.time() + 12 # two walks of each and more
while time.time() < deadline:
    time.sleep(0.5)
for fd, root, want, i in held:
    try:
        got = open(f"{root}/f").read()
    except OSError as e:
        got = errno.errorcode[e.errno]
    if got != want:
        lost.append(f"race-{i}: {want}: {got}")
print(f"# {full} came in time, {empty} too late", file=sys.stderr)
print(*lost[:5], sep="\n") if lost else print("none" if full and empty else f"no race: {full} {empty}")
END
N=160
pairs=()
for ((i = 0; i < N; i++)); do
	token race-$i user race-$i
	pairs+=("race-$i:user")
done
plant 2 "${pairs[@]}"
up retention.idle=1m
second retention.idle=1m
is "nobody who was told that a session is his has lost it" "$(timeout -k 5 100 python3 "$T/race" "$MNT" "$TWO" "$T" "$N" 2>"$T/said")" none
cat "$T/said"
is "each of the others was removed once" "$(($(value "$MNT" 'sessionfs_sessions_removed_total{reason="idle"}') \
	+ $(value "$TWO" 'sessionfs_sessions_removed_total{reason="idle"}') >= 1))" 1
is "nothing is left on the way" "$(ls -A "$T/store/leaving")" ""

# -- who is in a session, and does nothing, is written to be there -----------------------------------------------------------------------
token long long long-1
moved_on() { [[ $(date -d "$(meta long-1 last_used)" +%s) -gt $((bound + 10)) ]]; }
coproc HOLD { exec python3 -c '
import os, sys
fd = os.open(sys.argv[1] + "/.sessionfs/process", os.O_RDWR)
os.write(fd, b"bind " + open(sys.argv[2], "rb").read().strip() + b"\n")
print("held", flush=True)
sys.stdin.read()' "$MNT" "$T/long.token"; }
read -r -t 20 _ <&"${HOLD[0]}"
bound=$(date +%s)
ok "the store shows within half of idle that somebody is in a session all the while" eval 'PATIENCE=400 await moved_on'
ok "so that no instance removes it" there long-1
exec {HOLD[1]}>&-
wait "$HOLD_PID"
stop_second
finish
