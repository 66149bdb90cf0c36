#!/bin/bash
# SPDX-License-Identifier: MIT
# `self`, for applications whose paths can't be trusted at all.
. "${0%/*}/lib.sh"

up
token alice alice alice-1
token bob bob bob-1
ALICE="$T/alice.token" BOB="$T/bob.token" SELF=$MNT/self
ln -s "$SELF" "$T/uploads"
UP=$T/uploads

says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst -u 1000:1000 "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

says "self is a link to the caller's own session" alice-1 must bind thread "$ALICE" : readlink "$SELF"
says "two threads see two targets of one link at a time" "alice-1 bob-1 alice-1" \
	must thread 1 : must thread 2 : must in 1 bind thread "$ALICE" : must in 2 bind thread "$BOB" \
	: in 1 readlink "$SELF" : in 2 readlink "$SELF" : in 1 readlink "$SELF"
says "what is written under self is in the session" "0 alice" \
	must bind thread "$ALICE" : put "$SELF/name" alice : get "$MNT/alice-1/name"
says "the same path is another file for another caller" "0 ENOENT 0 bob alice" \
	must thread 1 : must thread 2 : must in 1 bind thread "$ALICE" : must in 2 bind thread "$BOB" \
	: in 1 put "$SELF/name" alice : in 2 get "$SELF/name" : in 2 put "$SELF/name" bob : in 2 get "$SELF/name" : in 1 get "$SELF/name"
says "whatever id the application puts in its path lies inside the caller's own session" "0 0 0 theirs ENOENT" \
	must bind thread "$BOB" : mkdir "$UP/alice-1" : put "$UP/alice-1/f" theirs : stat "$MNT/bob-1/alice-1" : get "$UP/alice-1/f" \
	: must bind thread "$ALICE" : stat "$MNT/alice-1/f"
says "a handle works beside it" alice must bind handle "$ALICE" : get "$MNT/%h/name"

says "for the unbound self leads to an empty directory" "dir (empty)" stat "$SELF" type : ls "$SELF"
says "for the unbound nothing is found there" ENOENT stat "$SELF/alice-1"
says "for the unbound nothing can be made there" "ENOKEY ENOKEY" mkdir "$SELF/x" : put "$SELF/x" y
who=()
says "for the unbound a mkdir of self says that it is there, as makedirs wants" EEXIST mkdir "$SELF" 0755
if [[ -x /usr/bin/python3 ]]; then
	py() { fst -u 1000:1000 "${who[@]}" run /usr/bin/python3 -c "$1" "$UP"; }
	is "os.makedirs(exist_ok=True) and isdir work unbound" \
		"$(py 'import os, sys; u = sys.argv[1]; os.makedirs(u, exist_ok=True); print(os.path.isdir(u), os.listdir(u))')" "True []"
	who=(-b "process:$ALICE")
	is "os.makedirs(exist_ok=True) and isdir work bound" \
		"$(py 'import os, sys; u = sys.argv[1]; os.makedirs(u, exist_ok=True); print(os.path.isdir(u))')" True
	is "os.makedirs of a remembered id stays in the session" \
		"$(py 'import os, sys; u = sys.argv[1] + "/bob-1/a/b"; os.makedirs(u); open(u + "/f", "w").write("x")
print(os.path.realpath(u))')" "$MNT/alice-1/bob-1/a/b"
	is "shutil.rmtree below self works" \
		"$(py 'import os, shutil, sys; shutil.rmtree(sys.argv[1] + "/bob-1"); print(os.path.exists(sys.argv[1] + "/bob-1"))')" False
fi
token brief alice alice-1 --ttl 2s
says "an expired caller's self says so" EKEYEXPIRED must bind thread "$T/brief.token" : until EKEYEXPIRED readlink "$SELF"

finish
