#!/bin/bash
# SPDX-License-Identifier: MIT
# .sessionfs/admin and .sessionfs/sessions.
. "${0%/*}/lib.sh"

up
token alice alice alice-1
token mallory mallory alice-1
token bob bob bob-1
A=$MNT/alice-1 B=$MNT/bob-1
# $root is slot 9: root, who is not bound.
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst must fork 9 : must in 9 x=open "$MNT/.sessionfs/admin" O_WRONLY : must become 1000:1000 : "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

says "admin takes revoke, drop and reload, and EINVAL for all else" "EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL" in 9 control @x 'revoke\n' \
	: in 9 control @x 'revoke ../x\n' : in 9 control @x 'drop self\n' : in 9 control @x 'bind x\n' : in 9 control @x 'reload now\n' \
	: in 9 control @x 'revoke a b\n' : in 9 control @x 'revoke alice-1'
unlike "a session that is not there can not be dropped" "$(fst must x=open "$MNT/.sessionfs/admin" O_WRONLY : control @x 'drop nobody\n')" 0
says "an ordinary user can not open it" EACCES open "$MNT/.sessionfs/admin" O_WRONLY

# -- sessions -------------------------------------------------------------------------------------------------------------
cat >"$T/query" <<END
#!/bin/sh
exec python3 -c '
import json, sys
s = {x["sid"]: x for x in json.load(open(sys.argv[1]))["sessions"]}
a = s["alice-1"]
print(a["sub"], a["state"], len(a["holders"]), sorted(h["scope"] for h in a["holders"]), a["release"], "bob-1" in s)' $MNT/.sessionfs/sessions
END
chmod 755 "$T/query"
says "sessions lists who is live, and its holders" "alice live 3 ['handle', 'process', 'thread'] r-1 False" must bind thread "$T/alice.token" r-1 \
	: must bind process "$T/alice.token" r-1 : must bind handle "$T/alice.token" r-1 : in 9 run "$T/query"

# -- drop -----------------------------------------------------------------------------------------------------------------
is "bob and alice have files" "$(fst -u 1000:1000 must bind thread "$T/alice.token" : must mkdir "$A/d" : put "$A/d/f" alice
	fst -u 1000:1000 must bind thread "$T/bob.token" : put "$B/f" bob)" $'0\n0'
says "a dropped session is gone for who is bound to it" "0 EKEYREVOKED EKEYREVOKED" must bind thread "$T/alice.token" \
	: must d=open "$A/d" O_DIRECTORY : in 9 control @x 'drop alice-1\n' : get "$A/d/f" : ls @d
ok "and gone from the store" eval '[[ ! -e $(data alice-1) ]]'
trashed() { [[ -z $(ls -A "$T/store/trash") ]]; }
ok "what it held is deleted" await trashed
says "the others notice nothing" bob must bind thread "$T/bob.token" : get "$B/f"
is "it is audited" "$(audit event=drop target=alice-1 uid=0 | wc -l)" 1
says "a session of the same id afterwards is a new and empty one" "0 (empty)" bind thread "$T/alice.token" : ls "$A"

# -- revoke --------------------------------------------------------------------------------------------------------------
says "a revoked session says so to its handles, processes and threads" "0 EKEYREVOKED EKEYREVOKED EKEYREVOKED dir" \
	must h=bind handle "$T/alice.token" : must fork 1 : must in 1 bind process "$T/alice.token" : must fork 2 : must in 2 bind thread "$T/alice.token" \
	: in 9 control @x 'revoke alice-1\n' : stat "$MNT/%h" : in 1 stat "$A" : in 2 ls "$MNT" : in 2 stat "$MNT" type
says "and can not be bound again" EKEYREVOKED bind thread "$T/alice.token"
down
up
says "not after a restart either" EKEYREVOKED bind thread "$T/alice.token"
says "its id stays its owner's" EKEYREJECTED bind thread "$T/mallory.token"
ok "what it holds is kept" test -d "$(data alice-1)"
finish
