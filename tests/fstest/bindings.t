#!/bin/bash
# SPDX-License-Identifier: MIT
# Who is bound, by what, and until when.
. "${0%/*}/lib.sh"

up
token alice alice alice-1
token bob bob bob-1
token carol carol carol-1
forged forged alice alice-1
for who in alice bob carol; do
	is "$who leaves a file" "$(fst -u 1000:1000 -b "thread:$T/$who.token" put "$MNT/$who-1/name" "$who")" 0
done
ALICE="$T/alice.token" BOB="$T/bob.token" CAROL="$T/carol.token"
A=$MNT/alice-1/name B=$MNT/bob-1/name C=$MNT/carol-1/name

# says CLAIM WANT WORDS…: what the driver prints, on one line.
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst -u 1000:1000 "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

# -- a thread --------------------------------------------------------------------------------------------------------

says "a thread binding is its thread's alone" "alice ENOKEY ENOKEY" \
	must thread 1 : must thread 2 : must in 1 bind thread "$ALICE" : in 1 get "$A" : in 2 get "$A" : get "$A"
says "threads of one process are in sessions of their own" "alice bob EACCES EACCES" \
	must thread 1 : must thread 2 : must in 1 bind thread "$ALICE" : must in 2 bind thread "$BOB" \
	: in 1 get "$A" : in 2 get "$B" : in 1 get "$B" : in 2 get "$A"
says "a forked child of a bound thread is not bound" "ENOKEY alice" \
	must bind thread "$ALICE" : must fork 1 : in 1 get "$A" : get "$A"
says "a thread's second bind, by another control file, replaces the first" "EACCES bob" \
	must c=bind thread "$ALICE" : must d=bind thread "$BOB" : get "$A" : get "$B"
says "ending the later bind leaves the thread unbound: there is no stack" "0 ENOKEY ENOKEY" \
	must c=bind thread "$ALICE" : must d=bind thread "$BOB" : unbind @d : get "$A" : get "$B"
says "ending the earlier bind, that was replaced, leaves the later" "bob" \
	must c=bind thread "$ALICE" : must d=bind thread "$BOB" : must close @c : get "$B"
says "a bind on the same control file replaces what it carried" "EACCES bob" \
	must c=bind thread "$ALICE" : must bind @c "$BOB" : get "$A" : get "$B"
says "one control file carries one binding: bound by a second thread it leaves the first" "ENOKEY alice" \
	must thread 1 : must thread 2 : must in 1 c=bind thread "$ALICE" : must in 2 bind @c "$ALICE" \
	: in 1 get "$A" : in 2 get "$A"
says "unbind ends it" "alice 0 ENOKEY" must c=bind thread "$ALICE" : get "$A" : unbind @c : get "$A"
says "after unbind the control file can bind again" "0 bob" must c=bind thread "$ALICE" : must unbind @c : bind @c "$BOB" : get "$B"
says "close ends it" "0 ENOKEY" must c=bind thread "$ALICE" : close @c : get "$A"
says "a close of a duplicate by its owner ends it" "0 ENOKEY" \
	must c=bind thread "$ALICE" : must d=dup @c : close @d : get "$A"
says "a close of the fork's copy in the child does not end it" "0 alice" \
	must c=bind thread "$ALICE" : must fork 1 : in 1 close @c : get "$A"
says "a close by the owner ends it although a child has a copy" "0 ENOKEY" \
	must c=bind thread "$ALICE" : must fork 1 : close @c : get "$A"
says "a thread that ends is unbound before its number is used again" "alice ENOKEY" \
	must thread 1 : must in 1 c=bind thread "$ALICE" : in 1 get "$A" : must in 1 quit : must wait 1 : until ENOKEY get "$A"

# -- numbers that are used again ------------------------------------------------------------------------------------

if [[ -w /proc/sys/kernel/ns_last_pid ]]; then
	got=$(fst must thread 1 : in 1 id : must in 1 c=bind thread "$ALICE" : must in 1 quit : must wait 1 \
		: must thread 2 as 1 : in 2 id : in 2 get "$A")
	mapfile -t got <<<"$got"
	is "a thread can be given the number of one that ended" "${got[1]-}" "${got[0]}"
	is "the next thread with the number of a bound one is not bound" "${got[2]-}" ENOKEY
	got=$(fst must fork 1 : in 1 id : must in 1 c=bind process "$ALICE" : in 1 get "$A" : must in 1 quit : must wait 1 \
		: must fork 2 as 1 : in 2 id : in 2 get "$A")
	mapfile -t got <<<"$got"
	is "a process can be given the number of one that ended" "${got[2]-}" "${got[0]}"
	is "the next process with the number of a bound one is not bound" "${got[1]-} ${got[3]-}" "alice ENOKEY"
else
	skip "process numbers can not be chosen here (no /proc/sys/kernel/ns_last_pid)"
fi

# A thread that is not the first takes over the first one's number by exec.
says "a bound thread that execs is not bound any more" "alice 0 ENOKEY" \
	must fork 1 : must in 1 thread 2 : must in 2 bind thread "$ALICE" : in 2 get "$A" : in 2 exec : in 2 get "$A"
says "a bound first thread that execs is not bound any more" "alice 0 ENOKEY" \
	must fork 1 : must in 1 bind thread "$ALICE" : in 1 get "$A" : in 1 exec : in 1 get "$A"
says "a thread binding does not pass to a thread that execs over the bound one" "alice 0 ENOKEY" \
	must fork 1 : must in 1 bind thread "$ALICE" : must in 1 thread 2 : in 1 get "$A" : in 2 exec : in 2 get "$A"

# The kernel tells of the last close after close(2) has returned, except of a thread's file: hence `until` below.

# -- a process ---------------------------------------------------------------------------------------------------------

says "a process binding is for all its threads" "alice alice" \
	must bind process "$ALICE" : must thread 1 : get "$A" : in 1 get "$A"
says "a process binding is for its descendants" "alice alice" \
	must bind process "$ALICE" : must fork 1 : must in 1 fork 2 : in 1 get "$A" : in 2 get "$A"
says "a process binding is not for its parent" "alice ENOKEY" \
	must fork 1 : must in 1 bind process "$ALICE" : in 1 get "$A" : get "$A"
says "a thread binding wins over a process binding" "bob EACCES alice" \
	must bind process "$ALICE" : must thread 1 : must in 1 bind thread "$BOB" : in 1 get "$B" : in 1 get "$A" : get "$A"
says "when the thread binding ends the process binding counts again" "alice" \
	must bind process "$ALICE" : must c=bind thread "$BOB" : must unbind @c : get "$A"
says "of nested process bindings the nearest counts" "alice bob carol carol EACCES" \
	must bind process "$ALICE" : must fork 1 : must in 1 bind process "$BOB" : must in 1 fork 2 : must in 2 bind process "$CAROL" \
	: must in 2 fork 3 : get "$A" : in 1 get "$B" : in 2 get "$C" : in 3 get "$C" : in 3 get "$B"
says "when the nearest ends the next counts" "0 alice" \
	must bind process "$ALICE" : must fork 1 : must in 1 c=bind process "$BOB" : in 1 unbind @c : in 1 get "$A"
says "a process binding ends with the last close" "EACCES alice" must bind process "$ALICE" : must fork 1 : must in 1 c=bind process "$BOB" \
	: must in 1 d=dup @c : must in 1 close @c : in 1 get "$A" : must in 1 close @d : until alice in 1 get "$A"
says "an orphan, whose line of parents is broken, is unbound" "alice 0 ENOKEY" \
	must fork 1 : must in 1 bind process "$ALICE" : must in 1 fork 2 : in 2 get "$A" : must kill 1 : wait 1 : in 2 get "$A"
says "an orphan in the middle of a bound line is unbound, the rest is not" "alice ENOKEY alice" \
	must bind process "$ALICE" : must fork 1 : must in 1 fork 2 : in 2 get "$A" : must kill 1 : must wait 1 \
	: in 2 get "$A" : get "$A"
says "a process that ends leaves nobody bound" "alice ENOKEY" \
	must fork 1 : must in 1 bind process "$ALICE" : in 1 get "$A" : must in 1 quit : must wait 1 : get "$A"
says "a close-on-exec process binding ends with exec" "alice 0 ENOKEY" \
	must fork 1 : must in 1 bind process "$ALICE" : in 1 get "$A" : in 1 exec : until ENOKEY in 1 get "$A"
says "a process binding whose descriptor is inherited outlives exec" "alice 0 alice" \
	must fork 1 : must in 1 c=bind process "$ALICE" : must in 1 cloexec @c off : in 1 get "$A" : in 1 exec : in 1 get "$A"
says "a thread and its process can be bound by two control files at once" "bob alice" \
	must c=bind thread "$BOB" : must bind process "$ALICE" : get "$B" : must close @c : get "$A"

if unshare -p -f true 2>/dev/null; then
	is "a caller in a pid namespace of its own is known by its thread as any other" \
		"$(timeout -k 5 100 unshare -p -f "$FSTEST" -m "$MNT" -u 1000:1000 must bind thread "$ALICE" : must fork 1 : get "$A" : in 1 get "$A")" \
		$'alice\nENOKEY'
	printf '#!/bin/sh\nexec unshare -p -f %s -m %s must fork 1 : in 1 get %s\n' "$FSTEST" "$MNT" "$A" >"$T/namespace"
	chmod 755 "$T/namespace"
	is "and by its line of parents, in and out of the namespace" "$(fst must bind process "$ALICE" : run "$T/namespace")" alice
else
	skip "no pid namespaces here"
fi

# -- a handle ----------------------------------------------------------------------------------------------------------

says "a handle binds nobody" ENOKEY must bind handle "$ALICE" : get "$A"
says "a handle's name is the session for whoever knows it" "alice alice alice" \
	must bind handle "$ALICE" : must thread 1 : must fork 2 : get "$MNT/%h/name" : in 1 get "$MNT/%h/name" \
	: in 2 get "$MNT/%h/name"
says "a handle is good for who is bound to the same session" alice \
	must bind handle "$ALICE" : must bind thread "$ALICE" : get "$MNT/%h/name"
says "a handle is refused to who is bound to another session" EACCES \
	must bind handle "$ALICE" : must bind thread "$BOB" : get "$MNT/%h/name"
says "a handle ends with its descriptor" "alice 0 ENOKEY" \
	must h=bind handle "$ALICE" : get "$MNT/%h/name" : close @h : until ENOKEY get "$MNT/%h/name"
says "what was opened through a handle ends with it" "0 ENOKEY ENOKEY" \
	must h=bind handle "$ALICE" : must f=open "$MNT/%h/name" O_RDWR : must d=open "$MNT/%h" O_DIRECTORY : close @h \
	: until ENOKEY pread @f 5 0 : ls @d
got=$(fst -u 1000:1000 must h=bind handle "$ALICE" : json @h path : get "$MNT/%h/name")
is "a handle ends when its process does" "${got#*$'\n'} $(fst -u 1000:1000 get "$MNT/${got%$'\n'*}/name")" "alice ENOKEY"
got=$(fst -u 1000:1000 must h=bind handle "$ALICE" : json @h path : must bind @h "$ALICE" : json @h path : get "$MNT/%h/name")
mapfile -t got <<<"$got"
like "a handle's name is ~ and 43 base64url characters" "${got[0]}" "~$(printf '[A-Za-z0-9_-]%.0s' {1..43})"
unlike "a new bind on a handle gives a new name" "${got[1]}" "${got[0]}"
is "the new name leads to the session" "${got[2]}" alice
got=$(fst -u 1000:1000 must h=bind handle "$ALICE" : must d=open "$MNT/%h" O_DIRECTORY : must bind @h "$ALICE" : ls @d : get "$MNT/${got[0]}/name")
is "a new bind on a handle ends the old name, and what was opened through it" "$got" $'ENOKEY\nENOKEY'
says "a handle of a guessed name is refused" "ENOKEY EACCES" \
	stat "$MNT/~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" : must bind thread "$ALICE" \
	: stat "$MNT/~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

# -- the control files -------------------------------------------------------------------------------------------------

open_thread=(must c=open "$MNT/.sessionfs/thread" O_RDWR,O_CLOEXEC)
long=$(printf 'A%.0s' {1..9000})
for line in '' '\n' 'bind' 'bind\n' 'bind \n' 'bound x\n' 'bind a' 'bind  a\n' ' bind a\n' 'bind a \n' 'bind a\nbind a\n' \
	'bind a\n\n' 'bind a\0\n' 'bind a release=\n' 'bind a release=a/b\n' 'bind a release=r x\n' 'bind a rel=r\n' 'unbind x\n' \
	'unbind' 'UNBIND\n' 'BIND a\n' 'revoke alice-1\n' 'drop alice-1\n' 'reload\n' "bind ${long}\\n"; do
	[[ $line = '' ]] && continue # a write of nothing does not reach a filesystem
	says "EINVAL for ${line:0:30}, and the binding stays" "EINVAL alice" \
		must c=bind thread "$ALICE" : control @c "$line" : get "$A"
done
says "a token that is none is EKEYREJECTED" "EKEYREJECTED" "${open_thread[@]}" : control @c 'bind a\n'
says "a refused bind leaves a control file carrying nothing" "EKEYREJECTED ENOKEY" \
	must c=bind thread "$ALICE" : bind @c "$T/forged.token" : get "$A"
says "a refused bind on a second control file leaves the first" "EKEYREJECTED alice" \
	must c=bind thread "$ALICE" : bind thread "$T/forged.token" : get "$A"
says "release= is taken" 0 bind thread "$ALICE" v1.2.3_a+b-4
says "a release of 65 characters is EINVAL" EINVAL bind thread "$ALICE" "$(printf 'r%.0s' {1..65})"
says "thread demands a close-on-exec descriptor" EINVAL must c=open "$MNT/.sessionfs/thread" O_RDWR : bind @c "$ALICE"
says "process takes one that is inherited" 0 must c=open "$MNT/.sessionfs/process" O_RDWR : bind @c "$ALICE"
for kind in thread process handle; do
	says "$kind: only the process that opened a control file may write to it" "EACCES ENOKEY 0" \
		must c=open "$MNT/.sessionfs/$kind" O_RDWR,O_CLOEXEC : must fork 1 : in 1 bind @c "$ALICE" : in 1 get "$A" \
		: bind @c "$ALICE"
	says "$kind: a child can not unbind its parent" "EACCES" must c=bind "$kind" "$ALICE" : must fork 1 : in 1 unbind @c
	says "$kind: a control file opened for reading can not bind" EBADF \
		must c=open "$MNT/.sessionfs/$kind" O_RDONLY,O_CLOEXEC : bind @c "$ALICE"
done

got=$(fst -u 1000:1000 must c=bind thread "$ALICE" : json @c bound scope sub sid error : json @c bound scope sub sid error : read @c 4096)
mapfile -t got <<<"$got"
is "read tells the binding" "${got[0]}" "true thread alice alice-1 -"
is "read begins at the start each time" "${got[1]}" "${got[0]}"
like "what is read is one JSON object" "${got[2]}" '{*"exp":*}\\x0a'
like "read tells when the binding ends" "$(fst -u 1000:1000 must c=bind thread "$ALICE" : json @c exp)" \
	'20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'
says "read says why a bind was refused" "EKEYREJECTED false EKEYREJECTED" \
	must c=bind thread "$ALICE" : bind @c "$T/forged.token" : json @c bound error
unlike "read gives the reason of a refusal" \
	"$(fst -u 1000:1000 must c=bind thread "$ALICE" : bind @c "$T/forged.token" : json @c reason)" $'EKEYREJECTED\n-'
says "read before any bind says that there is none" false "${open_thread[@]}" : json @c bound
says "after unbind read says so" false must c=bind thread "$ALICE" : must unbind @c : json @c bound
says "self tells the caller's binding" "true thread alice alice-1" must bind thread "$ALICE" : json "$MNT/.sessionfs/self" bound scope sub sid
says "self tells a process binding to a descendant" "true process alice alice-1" \
	must bind process "$ALICE" : must fork 1 : in 1 json "$MNT/.sessionfs/self" bound scope sub sid
is "self of the unbound" "$(fst -u 1000:1000 get "$MNT/.sessionfs/self")" '{"bound":false}\x0a'
says "version can be read by all" 0 open "$MNT/.sessionfs/version" O_RDONLY
says "sessions, metrics and admin are root's" "EACCES EACCES EACCES" get "$MNT/.sessionfs/sessions" \
	: get "$MNT/.sessionfs/metrics" : open "$MNT/.sessionfs/admin" O_WRONLY
is "the modes of the control files" "$(for f in thread process handle self version sessions metrics admin; do
	fst stat "$MNT/.sessionfs/$f" mode; done | tr '\n' ' ')" "0666 0666 0666 0444 0444 0400 0400 0200 "
is "the list of the control files" "$(fst ls "$MNT/.sessionfs")" "admin handle metrics process self sessions thread unbound version"

finish
