#!/bin/bash
# SPDX-License-Identifier: MIT
# A session that ends on one instance ends on the others, for whatever is held open; and what must not wait for the store
# does not.
. "${0%/*}/lib.sh"

up
value() { awk -v n="$2" 'index($0, n " ") == 1 { print $NF; found = 1 } END { if (!found) print 0 }' "$1/.sessionfs/metrics"; }

# elsewhere CLAIM WANT SID VERB…: bound through two, ended through one; all that is held there, and how long it took.
elsewhere() {
	local claim=$1 want=$2 sid=$3 began took got
	shift 3
	token "$sid" "$sid" "$sid"
	printf '#!/bin/sh\n%s\n' "$*" >"$T/end"
	chmod 755 "$T/end"
	began=$(date +%s%N)
	got=$(fst -m "$TWO" must fork 9 : must become 1000:1000 : must thread 1 : must h=bind handle "$T/$sid.token" : must bind thread "$T/$sid.token" \
		: must put "$TWO/$sid/f" text : must f=open "$TWO/$sid/f" O_RDWR : must r=open "$TWO/$sid/f" O_RDONLY : must d=open "$TWO/$sid" O_DIRECTORY \
		: must p=open "$TWO/$sid/f" O_PATH : must in 1 g=open "$TWO/%h/f" O_RDWR \
		: must in 9 run "$T/end" : until EKEYREVOKED pread @f 4 0 : pwrite @f x 0 : ls @d : get @d/f : stat "$TWO/$sid" : in 1 pread @g 4 0 : in 1 ls "$TWO/%h" \
		: in 1 pwrite @g x 0 : pread @r 4 0 : bind thread "$T/$sid.token")
	took=$((($(date +%s%N) - began) / 1000000))
	is "$claim" "$(xargs <<<"$got")" "$want"
	diag "in $took ms, with all that the test did"
	ok "within a bounded time" test "$took" -lt $((PATIENCE * 100))
}
R=EKEYREVOKED
eight="$R $R $R $R $R $R $R $R"
admin() { echo "echo '$1 $2' >'$MNT/.sessionfs/admin'"; }

second
elsewhere "revoked by another instance: open files, directories, handles, and binds" "$eight text $R" one-1 "$(admin revoke one-1)"
elsewhere "dropped by another instance, and free to be bound anew" "$eight text 0" one-2 "$(admin drop one-2)"
elsewhere "revoked in the store" "$eight text $R" one-3 "exec $BUILD/session-rm --revoke $T/store one-3 >/dev/null"
elsewhere "removed from the store" "$eight text 0" one-4 "exec $BUILD/session-rm $T/store one-4 >/dev/null"
elsewhere "taken away by hand" "$eight text 0" one-5 "rm -rf '$(dirname "$(data one-5)")'"
stop_second
second files.io=strict
elsewhere "with io = strict what is open for reading as well" "$eight $R $R" two-1 "$(admin revoke two-1)"
stop_second
second daemon.revalidate=1s files.names=hidden
elsewhere "with names = hidden the same" "$eight text $R" three-1 "$(admin revoke three-1)"
stop_second

# A session that was dropped elsewhere and made anew before that was seen here is another one.
second daemon.revalidate=60s
token anew anew anew-1
is "dropped and made anew elsewhere, before it is seen here" \
	"$(fst must fork 9 : must become 1000:1000 : must fork 1 : must c=open "$TWO/.sessionfs/thread" O_RDWR,O_CLOEXEC : must bind @c "$T/anew.token" : must put "$TWO/anew-1/f" old \
		: must in 9 run "$BUILD/session-rm" "$T/store" anew-1 : must run sleep 1.1 : must in 1 bind thread "$T/anew.token" : in 1 ls "$MNT/anew-1" | tail -1)" "(empty)"
stop_second

# Revoked here, while somebody is in it, and then removed in the store: its id is free at once, and its holder stays out.
second
token again again again-1
is "revoked here and removed elsewhere, it can be bound anew, is empty, and is not who held it before" \
	"$(fst must fork 9 : must become 1000:1000 : must fork 1 : must bind thread "$T/again.token" : must put "$MNT/again-1/f" old : must d=open "$MNT/again-1" O_DIRECTORY \
		: must in 9 run "$BUILD/session-rm" --revoke "$MNT" again-1 : in 1 bind thread "$T/again.token" : must in 9 run "$BUILD/session-rm" "$T/store" again-1 \
		: in 1 bind thread "$T/again.token" : in 1 ls "$MNT/again-1" : in 1 put "$MNT/again-1/f" new : get "$MNT/again-1/f" : ls @d | sed '/^revoked\|^removed/d' | xargs)" \
	"EKEYREVOKED 0 (empty) 0 EKEYREVOKED EKEYREVOKED"
stop_second

# -- nobody can be told -----------------------------------------------------------------------------------------------------------
# There is no room for one more file where instances tell each other.
second
full() { mount -t tmpfs -o nr_inodes=1,mode=700 none "$T/store/ended" || bail "no tmpfs here"; }
roomy() { umount "$T/store/ended"; }
said() { grep -c "$1" "$T/log"; }
full
late="other instances could not be told: No space left on device; with many sessions they see it late, after 96 s at most (48 times daemon.revalidate)"
elsewhere "revoked in the store where nobody can be told: few are looked at all the same" "$eight text $R" mute-1 \
	"$BUILD/session-rm --revoke $T/store mute-1 >$T/out 2>$T/err; echo \$? >>$T/out"
is "it is done, and that the others are told late is an error" \
	"$(awk '{ print $1, $2 }' "$T/out" | xargs)|$(<"$T/err")" "revoked mute-1 1|session-rm: $T/store: $late"
elsewhere "removed from the store, the same" "$eight text 0" mute-2 "$BUILD/session-rm $T/store mute-2 >$T/out 2>$T/err; echo \$? >>$T/out"
is "and that is said" "$(awk '{ print $1, $2 }' "$T/out" | xargs)|$(<"$T/err")" "removed mute-2 1|session-rm: $T/store: $late"
elsewhere "revoked by another instance, the same" "$eight text $R" mute-3 "$BUILD/session-rm --revoke $MNT mute-3 >$T/out 2>$T/err; echo \$? >>$T/out"
like "and that is said" "$(awk '{ print $1, $2 }' "$T/out" | xargs)|$(<"$T/err")" "revoked mute-3 1|session-rm: $MNT: other instances could not be told: the daemon's log*"
is "dropped by another instance: the control file says ECOMM" \
	"$(fst bind thread "$T/mute-3.token"; fst must x=open "$MNT/.sessionfs/admin" O_WRONLY : control @x 'drop mute-3\n')" $'EKEYREVOKED\nECOMM'
ok "it is gone all the same" test ! -e "$(data mute-3)"
ok "its daemon says so" await eval '[[ $(said "ended/: No space left on device: other instances see late") = 1 ]]'
roomy
ok "and goes on trying" await eval '[[ $(said "other instances are told again") = 1 ]]'
told() { find "$T/store/ended" -name "$(basename "$(dirname "$(data "$1")")").*" | wc -l; }
is "until it could tell them" "$(told mute-3)" 2
is "it was said once" "$(said 'ended/: No space left on device')" 1
stop_second

# -- one listing, not all sessions ----------------------------------------------------------------------------------------------
# Many live sessions, that nothing happens to: how many are read again in a while.
second
cat >"$T/many" <<'END'
import os, subprocess, sys, time
mount, store, build, key, count = sys.argv[1:6]
def looks():
    for line in open(f"{mount}/.sessionfs/metrics"):
        if line.startswith("sessionfs_revalidated_sessions_total "):
            return int(line.split()[1])
held = []
for i in range(int(count)):
    token = subprocess.run([f"{build}/session-token", "mint", "--key", key, "--sub", "u", "--sid", f"many-{i}", "--ttl", "1h"],
                           capture_output=True, check=True).stdout.strip()
    fd = os.open(f"{mount}/.sessionfs/handle", os.O_RDWR)
    os.write(fd, b"bind " + token + b"\n")
    held.append(fd)
time.sleep(3)
before, began = looks(), time.monotonic()
time.sleep(6)
per_second = int((looks() - before) / (time.monotonic() - began))
last = f"many-{int(count) // 2}"
began = time.monotonic()
subprocess.run([f"{build}/session-rm", "--revoke", store, last], stdout=subprocess.DEVNULL, check=True)
sessions = f"{mount}/.sessionfs/sessions"
import json
while time.monotonic() - began < 30:
    if [s["state"] for s in json.load(open(sessions))["sessions"] if s["sid"] == last] == ["revoked"]:
        break
    time.sleep(0.05)
print(per_second, int((time.monotonic() - began) * 1000))
END
timeout 100 python3 "$T/many" "$TWO" "$T/store" "$BUILD" "$T/issuer/issuer.key" 400 >"$T/seen"
read -r per_second took <"$T/seen"
diag "400 live sessions, $per_second read again in a second; one that is revoked is seen in $took ms"
ok "one of many that is revoked is seen as soon as one of few" test "$took" -lt 5000
ok "live sessions are not all read again every two seconds" test "$per_second" -lt 100
ok "but some are" test "$per_second" -gt 0
stop_second
down

# -- a store that does not answer -------------------------------------------------------------------------------------------------
truncate -s 64M "$T/disk"
mkfs.ext4 -q -E lazy_itable_init=0 "$T/disk" || bail "mkfs.ext4 failed"
mkdir "$T/small"
if mount -o loop "$T/disk" "$T/small" 2>/dev/null; then
	thaw() { fsfreeze -u "$T/small" 2>/dev/null; }
	trap 'thaw; cleanup' EXIT
	rm -rf "$T/store"
	mkdir -m 700 "$T/small/store"
	ln -s small/store "$T/store"
	token ice ice ice-1
	"$BUILD/session-token" keygen "$T/spare" >/dev/null
	cp "$T/spare/issuer.pub" "$T/keys.d/spare.pub"
	"$BUILD/session-token" mint --key "$T/spare/issuer.key" --sub ice --sid ice-1 --ttl 1h >"$T/spare.token"
	up
	cat >"$T/hold" <<'END'
import os, sys
fd = os.open(sys.argv[1] + "/.sessionfs/process", os.O_RDWR)
os.write(fd, b"bind " + open(sys.argv[2], "rb").read().strip() + b"\n")
print("held", flush=True)
sys.stdin.read()
END
	coproc HOLD { exec python3 "$T/hold" "$MNT" "$T/ice.token"; }
	read -r -t 20 _ <&"${HOLD[0]}"
	is "somebody is there" "$(value "$MNT" 'sessionfs_bindings{scope="process"}')" 1
	python3 "$T/hold" "$MNT" "$T/spare.token" <"$T/log" >/dev/null # and somebody was: there is meta.json to write
	fsfreeze -f "$T/small" || bail "fsfreeze failed"
	sleep 11 # by now its writer waits
	is "while the store takes nothing, metrics are given" "$(value "$MNT" 'sessionfs_bindings{scope="process"}')" 1
	rm "$T/keys.d/spare.pub"
	refused() { [[ $(fst bind thread "$T/spare.token") = EKEYREJECTED ]]; }
	ok "a key that is taken away is seen" await refused
	kill -KILL "$HOLD_PID"
	ended() { [[ $(value "$MNT" 'sessionfs_bindings{scope="process"}') = 0 ]]; }
	ok "a holder who is gone is unbound" await ended
	is "who is known can bind and unbind" "$(timeout 20 "$FSTEST" -m "$MNT" c=bind thread "$T/ice.token" : unbind @c : control @c 'unbind\n' 2>&1 | head -2 | xargs)" "0 0"
	thaw
	trap cleanup EXIT
	down
	umount "$T/small"
else
	skip "no loop devices here"
fi
finish
