#!/bin/bash
# SPDX-License-Identifier: MIT
# Limits of a user over all sessions, and of the store: the space that is kept back, and a disk that is full.
. "${0%/*}/lib.sh"
. "${0%/*}/quota.sh"

# -- users ----------------------------------------------------------------------------------------------------------------------
token two alice alice-2
token three alice alice-3
token bob bob bob-1
fresh limits.user_bytes=2000001 limits.user_files=30 limits.user_sessions=2
"$FLOOD" "$MNT" "$T/two.token" own 4 5000 100000 >"$T/flood2" &
got=$("$FLOOD" "$MNT" "$T/alice.token" own 4 5000 100000)
wait $!
read -r one _ <<<"$(tree alice-1)"
read -r two _ <<<"$(tree alice-2)"
is "two sessions of a user are full together, to the byte" "$((one + two)) ${got#* } $(cut -d' ' -f2 "$T/flood2")" "2000001 EDQUOT EDQUOT"
agree "each has its own ledger" alice-1
agree "and they agree" alice-2
is "df shows the user's" "$(fst must bind process "$T/alice.token" : statfs "$A" quota)" "1952 0 30 22"
is "another user is not full" "$(fst -b "process:$T/bob.token" put "$MNT/bob-1/f" x)" 0
is "a third session is EDQUOT" "$(fst bind thread "$T/three.token")" EDQUOT
like "which is audited" "$(audit event=bind-refused errno=EDQUOT sid=alice-3)" '*"reason":"too-many-sessions-of-user"*'
is "and not made" "$(ls "$T"/store/sessions/*/ | grep -c "$(basename "$(dirname "$(data alice-3)")")")" 0
is "those that are there can be bound" "$(fst bind thread "$T/two.token")" 0
is "a session that is removed makes room, for sessions and for bytes" "$(fst must x=open "$MNT/.sessionfs/admin" O_WRONLY : control @x 'drop alice-2\n' \
	: bind thread "$T/three.token" : must f=open "$MNT/alice-3/f" O_RDWR,O_CREAT : until 0 truncate @f "$two" : truncate @f $((two + 1)))" $'0\n0\n0\nEDQUOT'
token lower bob bob-2 --claim user_sessions=1
is "a token lowers the number of sessions" "$(fst bind thread "$T/lower.token")" EDQUOT

# Many binds of new sessions at once: never more than there may be.
fresh limits.user_sessions=3
for i in 1 2 3 4 5 6 7 8; do token "m$i" carol "carol-$i"; done
for i in 1 2 3 4 5 6 7 8; do fst bind thread "$T/m$i.token" >"$T/m$i" & pids[i]=$!; done
wait "${pids[@]}"
n=$(ls -d "$T"/store/sessions/*/* | wc -l)
ok "of eight binds at once at most three make a session ($n)" [ "$n" -le 3 -a "$n" -ge 1 ]
is "as many as were told so" "$(cat "$T"/m? | grep -c '^0')" "$n"

# Sessions from before there was a limit are counted when there is one.
fresh
is "unlimited" "$(fst -u 1000:1000 -b "process:$T/alice.token" must f=open "$A/f" O_RDWR,O_CREAT : truncate @f 500000)" 0
is "in two sessions" "$(fst -u 1000:1000 -b "process:$T/two.token" must f=open "$MNT/alice-2/f" O_RDWR,O_CREAT : truncate @f 400000)" 0
is "nothing is counted" "$(find "$T/store/sessions" -name usage | wc -l)" 0
down
up limits.user_bytes=1000000
says "then both count" "EDQUOT 0 EDQUOT" truncate "$A/f" 600001 : truncate "$A/f" 600000 : put "$A/g" x

# Where a token alone limits the user, his other sessions count as well, whoever is bound to them.
token all alice alice-1 --claim user_bytes=1000000
fresh
with "a token limits the user" all 0 must f=open "$A/f" O_RDWR,O_CREAT : truncate @f 300000
is "another session of his, of a token without limits, is not limited" \
	"$(fst -u 1000:1000 -b "process:$T/two.token" must f=open "$MNT/alice-2/f" O_RDWR,O_CREAT : truncate @f 600000)" 0
agree "but counted" alice-2
with "and in his sum" all "EDQUOT 0" truncate "$A/f" 400001 : until 0 truncate "$A/f" 400000

# -- the disk ---------------------------------------------------------------------------------------------------------------------
down
mkdir "$T/small"
mount -t tmpfs -o size=16M,mode=0700 none "$T/small" || bail "no tmpfs"
rm -rf "$T/store"
mkdir -m 700 "$T/small/store"
ln -s small/store "$T/store"
kept() { stat -f -c '%a %S' "$T/small" | awk '{ print int($1 * $2 / 1048576) }'; }
up limits.reserve=4M
got=$(fst -u 1000:1000 must bind process "$T/alice.token" : must f=open "$A/f" O_RDWR,O_CREAT : fill @f 64K 100M : put "$A/g" x : mkdir "$A/d")
like "the space that is kept back is ENOSPC" "${got//$'\n'/ }" '1[0-9]?????? ENOSPC ENOSPC ENOSPC'
is "and free" "$(kept)" 4
df=$(fst must bind process "$T/alice.token" : statfs "$A" quota)
is "df does not show it" "$(cut -d' ' -f2 <<<"$df")" 0
says "what is removed can be used again" "0 0" unlink "$A/f" : until 0 put "$A/g" x
down
up limits.session_bytes=100M
like "a full disk is ENOSPC, not EDQUOT" "$(fst -u 1000:1000 must bind process "$T/alice.token" : must f=open "$A/f" O_RDWR,O_CREAT : fill @f 64K 100M)" '* ENOSPC'
dd if=/dev/zero of="$T/small/filler" bs=4K 2>/dev/null
n=0
full() {
	n=$((n + 1))
	dd if=/dev/zero of="$T/small/filler" bs=4K oflag=append conv=notrunc 2>/dev/null # a page may have been in use before
	[[ $(fst -u 1000:1000 -b "process:$T/alice.token" mkdir "$A/new-$n") = ENOSPC ]]
}
ok "where usage can't be written, neither can more be used, once the last grant is over" await full
says "but removed" "0" unlink "$A/f"
rm "$T/small/filler"
says "then all goes on" "0" until 0 put "$A/h" x
agree "and nothing was lost of the count" alice-1
finish
