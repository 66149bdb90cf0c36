#!/bin/bash
# SPDX-License-Identifier: MIT
# The top of the mount.
. "${0%/*}/lib.sh"

up
token alice alice alice-1
token bob bob bob-1
ALICE="$T/alice.token" A=$MNT/alice-1 B=$MNT/bob-1

says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst -u 1000:1000 "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}
bound=(must bind thread "$ALICE" :)

is "bob is here too" "$(fst -u 1000:1000 -b "thread:$T/bob.token" put "$B/f" bob)" 0

# -- unbound ---------------------------------------------------------------------------------------------------------
says "the unbound see an empty directory" "(empty)" ls "$MNT"
says "stat of the mount works for the unbound" "dir" stat "$MNT" type
says "mkdir of the mount says that it is there" "EEXIST" mkdir "$MNT"
says "chdir to the mount works for the unbound" "0 $MNT" chdir "$MNT" : getcwd
says "a session, a handle and any other name are refused to the unbound alike" "ENOKEY ENOKEY ENOKEY" \
	stat "$A" : stat "$B" : stat "$MNT/nothing"
says "the unbound can make nothing here" "ENOKEY ENOKEY ENOKEY ENOKEY" \
	mkdir "$MNT/x" : put "$MNT/x" y : symlink y "$MNT/x" : mknod "$MNT/x" fifo
says "the unbound can not make a session" ENOKEY mkdir "$MNT/carol-1"

# -- bound -------------------------------------------------------------------------------------------------------------
says "a bound caller sees its own session and self" "alice-1 self" "${bound[@]}" ls "$MNT"
says "a listing is the caller's, also on one held descriptor" "alice-1 self bob-1 self (empty)" \
	must c=bind thread "$ALICE" : must d=open "$MNT" O_DIRECTORY : ls @d : must bind @c "$T/bob.token" : ls @d : must unbind @c : ls @d
says "another session and a name that is not there are refused alike" "EACCES EACCES EACCES" \
	"${bound[@]}" stat "$B" : stat "$MNT/nothing" : stat "$MNT/dave-1"
says "a new session has mode 0777 and its binder's uid and gid" "0777 1000:1000" "${bound[@]}" stat "$A" mode owner
says "nothing else can be created in the root" "EACCES EACCES EACCES EACCES EACCES" "${bound[@]}" \
	must put "$A/f" alice : mkdir "$MNT/x" : put "$MNT/x" y : symlink y "$MNT/x" : mknod "$MNT/x" fifo : link "$A/f" "$MNT/x"
says "not even a nameless file" "EACCES|EOPNOTSUPP|EPERM" "${bound[@]}" open "$MNT" O_RDWR,O_TMPFILE
says "nothing can be moved into the root" "0 EACCES" "${bound[@]}" put "$A/f" alice : rename "$A/f" "$MNT/f"
# The kernel looks the new name up first, and where there is none says what that lookup gave.
says "a session can not be renamed" "EACCES EACCES" "${bound[@]}" rename "$A" "$MNT/alice-2" : rename "$A" "$A/../other"
says "a session can not be exchanged: EBUSY" "EBUSY" "${bound[@]}" rename "$A" "$MNT/self" EXCHANGE
says "nor can something be renamed onto it" "0 ENOTEMPTY" "${bound[@]}" mkdir "$A/d" : rename "$A/d" "$A"
says "another session can not be renamed: EACCES" EACCES "${bound[@]}" rename "$B" "$MNT/x"
says "self can not be removed, renamed or made: EPERM" "EPERM EACCES EEXIST EEXIST EPERM" "${bound[@]}" \
	unlink "$MNT/self" : rename "$MNT/self" "$MNT/x" : mkdir "$MNT/self" : symlink x "$MNT/self" : rename "$A/f" "$MNT/self"
says "the control directory can not be changed" "EPERM EACCES EPERM" "${bound[@]}" \
	rmdir "$MNT/.sessionfs" : rename "$MNT/.sessionfs" "$MNT/x" : put "$MNT/.sessionfs/x" y
says "the control files can not be changed" "EPERM EPERM EPERM" "${bound[@]}" \
	unlink "$MNT/.sessionfs/thread" : chmod "$MNT/.sessionfs/thread" 0777 : chown "$MNT/.sessionfs/thread" 1000 1000
says "the root's attributes can not be changed" "EPERM|EACCES" "${bound[@]}" chmod "$MNT" 0700

# Another's session by its top name, which the kernel holds while its owner is at work there.
held=(must fork 1 : must in 1 bind thread "$T/bob.token" : must in 1 chdir "$B" : must in 1 stat "$B/f"
	: must bind thread "$ALICE" :)
says "another's live session: mkdir is EEXIST, the rest is EACCES, and the owner stays where it is" \
	"EEXIST EACCES EACCES EACCES EACCES EACCES EACCES $B bob" "${held[@]}" \
	mkdir "$B" : rmdir "$B" : stat "$B" : ls "$B" : chdir "$B" : chmod "$B" 0777 : rename "$B" "$MNT/x" : in 1 getcwd : in 1 get f

# -- the session itself ------------------------------------------------------------------------------------------------
says "the owner can remove its session when it is empty, and make it again" "ENOTEMPTY 0 0 0 ENOENT self 0 0 0700" \
	"${bound[@]}" rmdir "$A" : rmdir "$A/d" : unlink "$A/f" : rmdir "$A" : stat "$A" : ls "$MNT" : mkdir "$A" 0700 : put "$A/f" again \
	: stat "$A" mode
says "another can not make it while it is gone" "0 0 EACCES 0" must fork 1 : must in 1 bind thread "$T/bob.token" : "${bound[@]}" \
	unlink "$A/f" : rmdir "$A" : in 1 mkdir "$A" : mkdir "$A" 0755
says "a bind makes a session that its owner removed" "0 ENOENT dir" \
	"${bound[@]}" rmdir "$A" : stat "$A" : must bind thread "$ALICE" : stat "$A" type
says "the owner may change its session's mode and times" "0 0 0750" "${bound[@]}" chmod "$A" 0750 : utimens "$A" 5 6 : stat "$A" mode
if [[ -x /usr/bin/python3 ]]; then
	py() { fst -u 1000:1000 "${who[@]}" run /usr/bin/python3 -c "import os, shutil, sys; m = sys.argv[1]; $1" "$MNT"; }
	who=()
	is "os.makedirs(mount, exist_ok=True) works at start-up" \
		"$(py 'os.makedirs(m, exist_ok=True); print(os.path.isdir(m), os.listdir(m))')" "True []"
	who=(-b "process:$ALICE")
	is "shutil.rmtree and os.makedirs of the own session work" \
		"$(py 's = m + "/alice-1"; os.makedirs(s + "/a/b"); open(s + "/a/b/c", "w").write("x"); shutil.rmtree(s)
print(os.path.exists(s)); os.makedirs(s + "/x/y"); print(os.listdir(s))' )" 'False\x0a['"'x'"']'
	is "os.makedirs of another's session fails" \
		"$(py '
try: os.makedirs(m + "/bob-1/x", exist_ok=True)
except PermissionError: print("refused")')" refused
	is "and its owner's files are as they were" "$(fst -u 1000:1000 -b "thread:$T/bob.token" get "$B/f" : ls "$B")" $'bob\nf'
fi
finish
