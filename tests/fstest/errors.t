#!/bin/bash
# SPDX-License-Identifier: MIT
# Bad input: one clear line with the name and the reason, a status of 1 or 2, and nothing left mounted. And how it ends.
. "${0%/*}/lib.sh"

# bad CLAIM STATUS PATTERN WORDS…: what sessionfs says of these arguments. A daemon that starts is stopped again.
bad() {
	local claim=$1 status=$2 pattern=$3 got=0
	shift 3
	start "$@" || got=$?
	is "$claim: status $status" "$got" "$status"
	like "$claim: the reason is named" "$(<"$T/log")" "$pattern"
	[[ $status = 2 ]] || is "$claim: one line" "$(wc -l <"$T/log")" 1
	if mounted; then
		fail "$claim: nothing is mounted"
		umount "$MNT"
	else
		pass "$claim: nothing is mounted"
	fi
}
conf() { { cat "$T/conf"; printf '%s\n' "$@"; } >"$T/bad.conf"; }
C=(-c "$T/conf") S=$T/store

# -- arguments ---------------------------------------------------------------------------------------------------------
bad "no arguments" 2 'sessionfs: *'
bad "an unknown option" 2 '*--nonsense*' --nonsense
bad "a mountpoint too few" 2 'sessionfs: *' "${C[@]}" "$S"
bad "an argument too many" 2 'sessionfs: *' "${C[@]}" "$S" "$MNT" more
bad "--check without a configuration" 2 'sessionfs: *' --check

# -- configuration ----------------------------------------------------------------------------------------------------
bad "no such configuration" 1 "*$T/none.conf: No such file or directory" -c "$T/none.conf" "$S" "$MNT"
bad "a configuration that is a directory" 1 "*$T/keys.d: *" -c "$T/keys.d" "$S" "$MNT"
lines=$(wc -l <"$T/conf")
while IFS='|' read -r claim text line pattern; do
	conf "${text//\\n/$'\n'}"
	bad "$claim" 1 "*$T/bad.conf:$((lines + line)): $pattern" -c "$T/bad.conf" "$S" "$MNT"
done <<'END'
an unknown key|[files]\ncolour = blue|2|files.colour: *
an unknown section|[filez]\nio = strict|1|*filez*
a value out of range|[files]\nio = lax|2|files.io: *
a number out of range|[daemon]\nthreads = 9999|2|daemon.threads: *
a time without sense|[tokens]\nleeway = soon|2|tokens.leeway: *
a line that is none|[files]\nnonsense|2|*
END
conf '[files]' 'io = strict' 'io = guarded'
bad "a repeated key" 1 "*$T/bad.conf:$((lines + 3)): files.io: *" -c "$T/bad.conf" "$S" "$MNT"
conf '[files]' "# $(printf 'x%.0s' {1..5000})"
bad "an over-long line" 1 "*$T/bad.conf:$((lines + 2)): *" -c "$T/bad.conf" "$S" "$MNT"
bad "an unknown key with -o" 1 '*-o files.colour: *' "${C[@]}" -o files.colour=blue "$S" "$MNT"
bad "a bad value with -o" 1 '*-o files.io: *' "${C[@]}" -o files.io=lax "$S" "$MNT"
bad "a mount option that can not be had" 1 '*-o ro: *' "${C[@]}" -o ro "$S" "$MNT"
up suid dev
like "suid and dev are what mount(8) adds: they are taken, and not given" "$(awk -v m="$MNT" '$2 == m { print $4 }' /proc/self/mounts)" \
	'*nosuid,nodev*'
down
conf '[files]' 'io = lax' 'colour = blue' '[filez]' 'x = y'
start --check -c "$T/bad.conf"
is "--check fails on a configuration with faults" $? 1
is "--check lists every fault with its line" "$(grep -c "^\(sessionfs: \)\?$T/bad.conf:[0-9]*: " "$T/log")" 3
ok "--check accepts a good configuration" start --check "${C[@]}"
is "--check has nothing to say of a good configuration" "$(<"$T/log")" ""

# -- keys --------------------------------------------------------------------------------------------------------------
keys() { bad "$1" 1 "$2" "${C[@]}" -o "tokens.keys=$3" "$S" "$MNT"; }
mkdir "$T"/k{0,1,2,3,4}
keys "no such keys directory" "*$T/nokeys: No such file or directory" "$T/nokeys"
keys "a keys directory without a key" "*$T/k0: *" "$T/k0"
echo garbage >"$T/k1/a.pub"
keys "a key that is none" "*$T/k1/a.pub: *" "$T/k1"
cp "$T/issuer/issuer.key" "$T/k2/a.pub"
keys "a secret key among the public ones" "*$T/k2/a.pub: *" "$T/k2"
unlike "a secret key is never shown" "$(<"$T/log")" '*k4.secret.*[A-Za-z0-9]*'
cp "$T/issuer/issuer.pub" "$T/k3/a.pub"
chmod 666 "$T/k3/a.pub"
keys "a key that anybody may write" "*$T/k3/a.pub: *" "$T/k3"
cp "$T/issuer/issuer.pub" "$T/k4/a.pub"
chmod 777 "$T/k4"
keys "a keys directory that anybody may write" "*$T/k4: *" "$T/k4"
bad "keys by a relative path" 1 '*tokens.keys: *' "${C[@]}" -o tokens.keys=keys.d "$S" "$MNT"

# -- the store ---------------------------------------------------------------------------------------------------------
store() { bad "$1" 1 "$2" "${C[@]}" "$3" "$MNT"; }
store "no such store" "*$T/nostore: No such file or directory" "$T/nostore"
touch "$T/file"
store "a store that is a file" "*$T/file: Not a directory" "$T/file"
mkdir -m 755 "$T/open"
store "a store that others may enter" "*$T/open: *0755*0700*" "$T/open"
mkdir -m 700 "$T/others"
chown 1000 "$T/others"
store "a store that belongs to another" "*$T/others: *uid 1000*" "$T/others"
mkdir -m 700 "$T/full"
touch "$T/full/something"
store "a directory with something in it" "*$T/full: *not empty*" "$T/full"
is "and what was in it is as it was" "$(ls -A "$T/full")" something
mkdir -m 700 "$T/future"
printf 'sessionfs-store 99\nuuid 00000000-0000-4000-8000-000000000000\n' >"$T/future/FORMAT"
store "a store of another format" "*$T/future: *FORMAT*" "$T/future"
mkdir -m 700 "$T/broken"
: >"$T/broken/FORMAT"
store "a store with an empty FORMAT" "*$T/broken: *FORMAT*" "$T/broken"

# -- the mountpoint -----------------------------------------------------------------------------------------------------
point() { bad "$1" 1 "$2" "${C[@]}" "$S" "$3"; }
point "no such mountpoint" "*$T/nomnt: No such file or directory" "$T/nomnt"
point "a mountpoint that is a file" "*$T/file: *" "$T/file"
point "a mountpoint that is not empty" "*$T/full: *not empty*" "$T/full"
mkdir "$S/inside"
point "a mountpoint inside the store" "*$S/inside: *" "$S/inside"
point "the store as its own mountpoint" "*$S: *" "$S"
rmdir "$S/inside"
mkdir -m 755 "$T/above"
mkdir -m 700 "$T/above/store"
bad "a store inside the mountpoint" 1 "*$T/above*" "${C[@]}" "$T/above/store" "$T/above"
mkdir "$T/busy"
mount -t tmpfs none "$T/busy"
point "a mountpoint where something is mounted" "*$T/busy: *" "$T/busy"
umount "$T/busy"
bad "an audit file that can not be made" 1 "*$T/nodir/audit: No such file or directory" "${C[@]}" -o "audit.to=$T/nodir/audit" "$S" "$MNT"
bad "an audit file that is a directory" 1 "*$T/keys.d: *" "${C[@]}" -o "audit.to=$T/keys.d" "$S" "$MNT"
bad "an audit file on the mountpoint" 1 "*$MNT/audit: *" "${C[@]}" -o "audit.to=$MNT/audit" "$S" "$MNT"

# -- a mount that is there, or was --------------------------------------------------------------------------------------
token alice alice alice-1
up
start "${C[@]}" "$S" "$MNT"
is "a mountpoint that is in use by a daemon: status 1" $? 1
like "and the reason is named" "$(<"$T/log")" "*$MNT: *"
is "and the first daemon serves on" "$(fst bind thread "$T/alice.token")" 0
kill -KILL "$DAEMON"
ok "a daemon that was killed is gone" await gone "$DAEMON"
is "its mount is dead, for all to see in a second" "$(fst until ENOTCONN stat "$MNT")" ENOTCONN
bad_mount() {
	local status=0
	start "${C[@]}" "$S" "$MNT" || status=$?
	is "a mount left by a dead daemon: status 1" "$status" 1
	like "a mount left by a dead daemon is recognised, and the line says how to clear it" "$(<"$T/log")" "*$MNT: *umount*$MNT*"
	is "in one line" "$(wc -l <"$T/log")" 1
}
bad_mount
umount "$MNT"
up
is "after that it starts again, and the session is there" "$(fst -b "thread:$T/alice.token" stat "$MNT/alice-1" type)" dir
down

# -- stopping ------------------------------------------------------------------------------------------------------------
for signal in TERM INT; do
	up
	kill -$signal "$DAEMON"
	ok "a daemon told to stop by SIG$signal ends" await gone "$DAEMON"
	ok "and unmounts" eval '! mounted'
done
up
mkfifo "$T/fifo"
fst -b "thread:$T/alice.token" must put "$MNT/alice-1/f" kept : must f=open "$MNT/alice-1/f" O_RDWR : must chdir "$MNT/alice-1" \
	: put "$T/held" yes : must get "$T/fifo" : pread @f 4 0 >"$T/out" &
holder=$!
ok "somebody has a file and his directory there" await test -s "$T/held"
kill -TERM "$DAEMON"
ok "a daemon told to stop while it is in use ends" await gone "$DAEMON"
ok "and unmounts" eval '! mounted'
echo go >"$T/fifo"
wait "$holder"
is "the holder is told" "$(tail -1 "$T/out")" 'ENOTCONN|ECONNABORTED|EIO'
up
is "nothing that was written is lost" "$(fst -b "thread:$T/alice.token" get "$MNT/alice-1/f")" kept
down

"$BUILD/sessionfs" -f "${C[@]}" "$S" "$MNT" >"$T/log" 2>&1 </dev/null &
DAEMON=$!
ok "-f mounts too" await mounted
kill -TERM "$DAEMON"
wait "$DAEMON"
is "-f: a daemon told to stop ends with status 0" $? 0
ok "-f: nothing is mounted" eval '! mounted'
DAEMON=
for option in --help --version; do
	start $option
	is "$option: status 0" $? 0
	like "$option: says something" "$(<"$T/log")" '*sessionfs*'
done
finish
