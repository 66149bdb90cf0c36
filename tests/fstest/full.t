#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk that is full when meta.json is to be written: nothing that was acknowledged is lost, and it is said once.
. "${0%/*}/lib.sh"

mkdir "$T/small"
mount -t tmpfs -o size=2m,mode=755 none "$T/small" || bail "no tmpfs here"
rmdir "$T/store"
mkdir -m 700 "$T/small/store"
ln -s small/store "$T/store"
token alice alice alice-1
token bob bob bob-1
token late late late-1
A=$MNT/alice-1
meta() { cat "$(data alice-1)/../meta.json"; }
failures() { awk '$1 == "sessionfs_meta_failures_total" { print $2 }' "$MNT/.sessionfs/metrics"; }
said() { grep -c "$1" "$T/log"; }

up retention.idle=1h
is "two sessions are there" "$(fst -u 1000:1000 must bind thread "$T/alice.token" : put "$A/f" alice
	fst -u 1000:1000 must bind thread "$T/bob.token" : put "$MNT/bob-1/f" bob)" $'0\n0'
ok "their meta.json is written" await eval '[[ $(meta) == *\"version\":2* ]]'
before=$(meta)
dd if=/dev/zero of="$T/small/filler" bs=4k 2>/dev/null
sleep 1.1
is "on a full disk who is known binds, reads, and writes over what is there" \
	"$(fst -u 1000:1000 must bind thread "$T/alice.token" : get "$A/f" : must f=open "$A/f" O_RDWR : pwrite @f ALICE 0 : get "$A/f" | xargs)" "alice 0 ALICE"
is "and so does the other" "$(fst -u 1000:1000 must bind thread "$T/bob.token" : get "$MNT/bob-1/f")" bob
is "a new session is ENOSPC" "$(fst bind thread "$T/late.token")" ENOSPC
PATIENCE=250
ok "meta.json can't be written, and is tried again" await eval '[[ $(failures) -ge 2 ]]'
is "it is as it was" "$(meta)" "$before"
is "nothing is beside it" "$(ls -A "$(data alice-1)/.." | xargs)" "data meta.json"
is "it is said once, for both sessions" "$(said 'meta.json: No space left on device')" 1
rm "$T/small/filler"
ok "with room again it is written" await eval '[[ $(meta) != "$before" ]]'
is "which is said too" "$(said 'meta.json can be written again')" 1
is "nothing was lost" "$(fst -u 1000:1000 must bind thread "$T/alice.token" : get "$A/f")" ALICE
is "and new sessions are made" "$(fst bind thread "$T/late.token")" 0

# To remove is how a full disk gets room.
dd if=/dev/zero of="$T/small/filler" bs=4k 2>/dev/null
is "on a full disk a session can be revoked" "$(fst must x=open "$MNT/.sessionfs/admin" O_WRONLY : control @x 'revoke bob-1\n' : bind thread "$T/bob.token" | xargs)" "0 EKEYREVOKED"
is "and dropped" "$(fst must x=open "$MNT/.sessionfs/admin" O_WRONLY : control @x 'drop late-1\n')" 0
down
up
is "which holds after a restart" "$(fst bind thread "$T/bob.token")" EKEYREVOKED
rm "$T/small/filler"
down
finish
