#!/bin/bash
# SPDX-License-Identifier: MIT
# What somebody tries who means it: each attack of attack.py, and what must come of it.
. "${0%/*}/lib.sh"

attack() { timeout -k 5 90 python3 "$HERE/attack.py" "$MNT" "$T" "$@" 2>&1; }

# fails CLAIM WANT NAME WORDS…
fails() {
	local claim=$1 want=$2
	shift 2
	is "$claim" "$(attack "$@")" "$want"
}

token alice alice alice-1
token bob bob bob-1
token carol carol carol-1
token dave dave dave-1
token eve eve eve-1
token mallory mallory eve-1
idle=()
for verb in revoke drop; do
	for i in {1..40}; do
		token "$verb-$i" user "$verb-$i"
		idle+=("$verb-$i")
	done
done
up
attack populate "${idle[@]}"
started=$SECONDS

R=EACCES
# -- what is held or passed on ---------------------------------------------------------------------------------------
fails "a directory descriptor passed to another session leads nowhere" "$R $R $R $R $R $R" passed_directory
fails "an O_RDWR descriptor passed to another session gives and takes nothing" "$R $R $R $R $R $R $R $R $R" passed_file
fails "an O_PATH descriptor passed to another session can't be opened, changed or linked" "$R $R $R $R $R" passed_path_descriptor
fails "another process's cwd, root and descriptors in /proc lead nowhere" "$R $R $R" through_proc
fails "libaio on a descriptor of the session before is refused" "$R $R yyyyyy" asynchronous
fails "the mount gives out no file handles, which would outlive a binding" "ENOTSUP|EOPNOTSUPP" by_file_handle
fails "dots lead into no other session" "$R $R $R" by_dots
fails "renames and links between held directories of two sessions are refused" "$R $R $R $R" between_sessions
fails "a child, forked or executed, has no part in its parent's thread binding" "ENOKEY Required key not available" inherited
fails "a control descriptor that was passed on is of no use, and its owner stays bound" "$R $R ENOKEY secret" passed_control

# -- the end of a binding --------------------------------------------------------------------------------------------
for kind in thread process handle; do
	fails "the very next call after closing a $kind file is unbound" ENOKEY close_unbinds "$kind"
done
fails "the first call of a program executed away from a process file is unbound" "Required key not available" exec_unbinds
fails "a handle's name, and all that is held below it, end with it" ENOKEY handle_ends

# -- other names for the same ----------------------------------------------------------------------------------------
mkdir "$T/elsewhere"
mount --bind "$MNT/.sessionfs" "$T/elsewhere"
fails "a control file by another name insists on close-on-exec too" EINVAL not_cloexec "$T/elsewhere"
fails "as it does by its own" EINVAL not_cloexec "$MNT/.sessionfs"
umount "$T/elsewhere"
"$BUILD/session-exec" --token-file "$T/alice.token" "$MNT" -- mount --bind "$MNT/alice-1" "$T/elsewhere"
fails "a bind mount of a session's directory is that session's alone" "ENOKEY $R $R" bound_path "$T/elsewhere"
umount "$T/elsewhere"

fails "a descendant of a bound process is bound" "EACCES EACCES" far_down 5
fails "and is not taken for unbound however far down it is" "EACCES EACCES" far_down 70

# -- what the store may hold -----------------------------------------------------------------------------------------
alice=$(data alice-1) bob=$(data bob-1)
ln -s "$alice/secret" "$bob/absolute"
ln -s "../../../${alice#"$T/store/sessions/"}/secret" "$bob/relative"
ln -s "$MNT/alice-1/secret" "$bob/mounted"
is "links planted in the store lead nowhere" "$(fst must bind thread "$T/bob.token" : get "$MNT/bob-1/absolute" \
	: get "$MNT/bob-1/relative" : get "$MNT/bob-1/mounted" | tr '\n' ' ')" "EPERM EPERM EPERM "
fails "an ordinary user's files are found again by their handles" "0 x" cold_nodes
fails "what was held of a session that was dropped leads neither into it nor into its successor" \
	"ENOENT [] 0 EKEYREVOKED EKEYREVOKED EKEYREVOKED EKEYREVOKED EKEYREVOKED EKEYREJECTED" dropped
fails "what was held of a directory that was removed and made again leads nowhere" "nowhere ['f']" removed_and_made

# -- races and hoards ------------------------------------------------------------------------------------------------
# A session is forgotten when its meta.json was written, which is within 10 s; then the store alone knows it.
forgotten() {
	echo 2 >/proc/sys/vm/drop_caches
	! "$BUILD/session-ls" --json "$MNT" | grep -q '"sid": *"\(revoke\|drop\)-[^}]*"state": *"\(idle\|live\)"' ||
		[[ $((SECONDS - started)) -gt 13 ]]
}
PATIENCE=300 await forgotten
fails "a user who binds while he is revoked is not let in, however near it is" EKEYREVOKED race revoke "${idle[@]:0:40}"
like "a user who binds while his session is dropped is revoked or has a new one" \
	"$(attack race drop "${idle[@]:40}")" "0@(| EKEYREVOKED)@(| new)"
fails "callers killed in the middle of everything leave no binding, node or open file" nothing killed

down
up files.io=strict
fails "with io = strict no byte stored through a shared map is lost: there is no such map" ENODEV shared_map
down
up files.names=hidden
fails "with names = hidden no cached name gives a stranger attributes, an O_PATH or a watch" "$R $R $R" cached_attributes
down

# -- few descriptors -------------------------------------------------------------------------------------------------
up
prlimit --pid "$DAEMON" --nofile=2048:2048
fails "short-lived children of a bound process do not use up the daemon's descriptors" secret descendants 500
down
up
prlimit --pid "$DAEMON" --nofile=2048:2048
fails "a stranger who hoards control files does not keep users out" "secret 0" hoard 4096
down
(ulimit -n 800; start -c "$T/conf" "$T/store" "$MNT") || bail "sessionfs does not start with few descriptors"
DAEMON=$(daemon_of "$T/store" "$MNT")
echo "$DAEMON" >"$T/daemon"
fails "a user who opens all the files he can opens no other's, and keeps no revocation from being seen" \
	"ENFILE EACCES 0 EKEYREVOKED" starved "$BUILD/session-rm --revoke $T/store carol-1 >/dev/null"

finish
