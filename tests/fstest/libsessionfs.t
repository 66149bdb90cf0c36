#!/bin/bash
# SPDX-License-Identifier: MIT
# The client library, through client.c.
. "${0%/*}/lib.sh"

CLIENT=$BUILD/tests/fstest/client
LIBRARY=$BUILD/libsessionfs.so.1
UNBOUND=.sessionfs/unbound
[[ -x $CLIENT ]] || bail "$CLIENT is not built"

up
token alice alice alice-1
token alice2 alice alice-2
token bob bob bob-1
token eve eve alice-1
forged forged alice alice-1
expired late alice alice-1
token gone carol carol-1
printf '%10240s\n' '' | tr ' ' x >"$T/10k.token"
printf '%5000s\n' '' | tr ' ' x >"$T/5k.token"
printf '%s; %s\n' "$(<"$T/alice.token")" "$(<"$T/bob.token")" >"$T/two.token"
printf '%s\nunbind\n' "$(<"$T/alice.token")" >"$T/lines.token"
: >"$T/empty.token"

# client NAME [FD…]: starts one; `NAME WHO COMMAND…` gets its answer.
client() {
	coproc { exec "$CLIENT" 2>"$T/$1.err"; }
	eval "exec {$1_out}<&${COPROC[0]} {$1_in}>&${COPROC[1]} ${COPROC[0]}<&- ${COPROC[1]}>&-"
	eval "$1_pid=$COPROC_PID"
}
say() {
	local in=${1}_in out=${1}_out answer="(no answer: $(<"$T/$1.err"))"
	shift
	echo "$*" >&"${!in}"
	read -r -t 100 answer <&"${!out}"
	printf '%s\n' "$answer"
}
end() {
	local in=${1}_in out=${1}_out pid=${1}_pid
	eval "exec ${!in}>&- ${!out}<&-"
	wait "${!pid}"
}
c() { say main "$@"; }

# says CLAIM WANT LINE…: the answers to several lines, each an argument.
says() {
	local claim=$1 want=$2 got=
	shift 2
	for line; do got+="${got:+ }$(c "$line")"; done
	is "$claim" "$got" "$want"
}
holders() {
	python3 -c '
import json, sys
for s in json.load(open(sys.argv[1]))["sessions"]:
    if s["sid"] == sys.argv[2]:
        print(*(h["scope"] for h in s["holders"]))
' "$MNT/.sessionfs/sessions" "$1"
}
requests() { awk '/^sessionfs_requests_total/ && !/release|forget|interrupt/ { n += $2 } END { print n }' "$MNT/.sessionfs/metrics"; }
no_holder() { [[ -z $(holders "$1") ]]; }
fault() { sed 's/^/# /' "$T/main.err"; }

# -- what is exported ----------------------------------------------------------------------------------------------------
is "the shared library exports what the map names, and nothing else" \
	"$(nm -D --defined-only "$LIBRARY" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 } $2 !~ /^[TA]$/' | sort)" \
	"$(grep -o 'sessionfs_[a-z_]*;' "$ROOT/tools/libsessionfs.map" | tr -d ';' | sort)"
is "the static one defines the same names, and nothing else" \
	"$(nm -g --defined-only "$BUILD/libsessionfs.a" | awk 'NF == 3 { print $3 }' | sort)" \
	"$(grep -o 'sessionfs_[a-z_]*;' "$ROOT/tools/libsessionfs.map" | tr -d ';' | sort)"
is "the header declares them all" \
	"$(grep -v '^ \*' "$ROOT/tools/sessionfs.h" | grep -o '\<sessionfs_[a-z_]*(' | tr -d '(' | sort -u)" \
	"$(grep -o 'sessionfs_[a-z_]*;' "$ROOT/tools/libsessionfs.map" | tr -d ';' | sort)"
like "its soname is libsessionfs.so.1" "$(readelf -d "$LIBRARY")" '*SONAME*\[libsessionfs.so.1\]*'
like "threads that end after dlclose() still find it" "$(readelf -d "$LIBRARY")" '*NODELETE*'
for lang in 'c -std=c99' 'c++ -std=c++11'; do
	if ! echo | "${CC:-cc}" -x ${lang%% *} -fsyntax-only - 2>/dev/null; then
		skip "no compiler for ${lang%% *}"
		continue
	fi
	# shellcheck disable=SC2086
	ok "the header compiles alone, as ${lang##*=}" "${CC:-cc}" -x $lang -fsyntax-only -Wall -Wextra -pedantic -Werror \
		"$ROOT/tools/sessionfs.h"
done

# -- opening -------------------------------------------------------------------------------------------------------------
client main
says "a mount is opened" 0 "0 open m $MNT"
says "a path that is not there is ENOENT, a file ENOTDIR" "ENOENT ENOTDIR" "0 open n $T/nothing" "0 open n $T/conf"
mkdir "$T/fake"
mount -t tmpfs none "$T/fake"
mkdir "$T/fake/.sessionfs"
cp "$MNT/.sessionfs/version" "$T/fake/.sessionfs/"
: >"$T/fake/.sessionfs/thread"
says "another filesystem that looks like one is ENOTTY" ENOTTY "0 open n $T/fake"
umount "$T/fake"

says "a bound caller may make directories of any name" "0 0" "0 bind m @$T/alice.token" "0 put $MNT/self/f text"
fst -b "thread:$T/alice.token" mkdir "$MNT/alice-1/.sessionfs" 0777 : put "$MNT/alice-1/.sessionfs/thread" - \
	: put "$MNT/alice-1/.sessionfs/version" '{"protocol":1}' >/dev/null
mkdir "$T/elsewhere"
ok "a session is mounted elsewhere" "$BUILD/session-exec" --token-file "$T/alice.token" "$MNT" -- \
	mount --bind "$MNT/alice-1" "$T/elsewhere"
says "which is no sessionfs, whatever its owner put there" ENOTTY "0 open n $T/elsewhere"
umount "$T/elsewhere"
says "a path inside the session leads to the mount" "0 0 alice-1" "0 open n $MNT/alice-1/.sessionfs" "0 bind n @$T/alice.token" \
	"0 link $MNT/self"
says "closing it unbinds" "0 $UNBOUND" "0 close n" "0 link $MNT/self"
ln -s "$MNT/self" "$T/uploads"
says "a link to MOUNT/self leads there for the unbound too" "0 0" "0 open n $T/uploads" "0 close n"

mkdir "$T/bind"
mount --bind "$MNT" "$T/bind"
says "the mount can be opened where it is mounted besides" "0 0" "0 open n $T/bind" "0 handle h n @$T/alice.token"
like "and a handle's path leads through it" "$(c "0 path h")" "$T/bind/~*"
path=$(c "0 path h")
says "a handle outlives its mount's close" "0 text 0 ENOKEY" "0 close n" "0 get $path/f" "0 drop h" "0 get $path/f"
umount "$T/bind"

version() {
	printf '%s\n' "$1" >"$T/version"
	mount --bind "$T/version" "$MNT/.sessionfs/version"
}
version '{"version":"9","protocol":2,"features":{}}'
says "another protocol is EPROTO" EPROTO "0 open n $MNT"
like "and session-exec says what to do" \
	"$("$BUILD/session-exec" --token-file "$T/alice.token" "$MNT" -- true 2>&1)" '*: its daemon speaks another protocol; *'
umount "$MNT/.sessionfs/version"
for text in '{}' '{"protocol":"1"}' '{"protocol":1' ''; do
	version "$text"
	says "a version of '$text' is EPROTO" EPROTO "0 open n $MNT"
	umount "$MNT/.sessionfs/version"
done
mount -t tmpfs none "$MNT/.sessionfs"
says "a FUSE mount without control files is ENOTTY" ENOTTY "0 open n $MNT"
umount "$MNT/.sessionfs"

# -- the thread ----------------------------------------------------------------------------------------------------------
says "threads start" "0 0" "0 thread 1" "0 thread 2"
says "a bind is the calling thread's alone" "0 alice-1 $UNBOUND" "1 bind m @$T/alice.token" "1 link $MNT/self" "2 link $MNT/self"
says "two threads are in two sessions" "0 bob-1 alice-1" "2 bind m @$T/bob.token" "2 link $MNT/self" "1 link $MNT/self"
like "self tells each who it is" "$(c "1 self m") $(c "2 self m") $(c "0 self m")" \
	'{"bound":true,"scope":"thread","sub":"alice","sid":"alice-1","exp":"*"} {*"sub":"bob"*} {"bound":false}'
says "each keeps one control file open" 3 "0 fds .sessionfs/thread"
says "bind replaces" "0 alice-2" "1 bind m @$T/alice2.token" "1 link $MNT/self"
says "and keeps the control file" 3 "0 fds .sessionfs/thread"
says "unbind unbinds, once more does no harm" "0 $UNBOUND 0" "1 unbind m" "1 link $MNT/self" "1 unbind m"
says "unbind without a bind does no harm" 0 "0 unbind m"
says "it leaves the others alone" bob-1 "2 link $MNT/self"
a=$(requests) b=$(requests)
says "bind and unbind again" "0 0" "1 bind m @$T/alice.token" "1 unbind m"
is "are two requests to the daemon" $(($(requests) - b - (b - a))) 2
says "a release is noted" 0 "1 bind m @$T/alice.token 2026.03+1"
like "where session-ls shows it" "$("$BUILD/session-ls" --json --user alice "$MNT")" '*"release":*"2026.03+1"*'
says "a thread that ends" "0 0" "1 quit" "0 wait 1"
says "closes its control file" 2 "0 fds .sessionfs/thread"
is "and is not bound any more" "$(holders alice-1)" ""
client other
got=
for line in "open m $MNT" "bind m @$T/alice.token" "close-fd .sessionfs/thread" "link $MNT/self" "bind m @$T/bob.token" "link $MNT/self"; do
	got+=" $(say other 0 "$line")"
done
end other
is "a control file that was closed behind the library's back is opened anew" "$got" " 0 0 0 $UNBOUND 0 bob-1"

# -- refusals ------------------------------------------------------------------------------------------------------------
# refused CLAIM ERRNO REASON TOKEN [RELEASE]
refused() {
	says "$1" "0 $2 $3 $UNBOUND" "2 bind m @$T/bob.token" "2 bind m $4 ${5-}" "2 reason m" "2 link $MNT/self"
}
refused "a forged token is refused, and the thread bound to nothing" EKEYREJECTED unknown-key "@$T/forged.token"
refused "so is one that is over" EKEYEXPIRED expired "@$T/late.token"
refused "and another user's, for a session that is taken" EKEYREJECTED sid-of-another-user "@$T/eve.token"
refused "no token" EKEYREJECTED bad-header hello
refused "an empty one" EKEYREJECTED "(nothing)" "@$T/empty.token"
refused "two in one" EKEYREJECTED "(nothing)" "@$T/two.token"
refused "a token with a line behind it" EKEYREJECTED "(nothing)" "@$T/lines.token"
refused "one of 5,000 bytes" EKEYREJECTED too-long "@$T/5k.token"
refused "one of 10 KB" EMSGSIZE "(nothing)" "@$T/10k.token"
refused "a release that is no word" EINVAL "(nothing)" "@$T/alice.token" a/b
refused "a release that is too long" EINVAL "(nothing)" "@$T/alice.token" "$(printf 'x%.0s' {1..65})"
says "a session" 0 "2 bind m @$T/gone.token"
echo revoke carol-1 >"$MNT/.sessionfs/admin"
refused "that is revoked" EKEYREVOKED revoked "@$T/gone.token"
says "the reason goes with the next bind" "0 (nothing)" "2 bind m @$T/bob.token" "2 reason m"
says "a refused process, or handle, has its reason too" "EKEYREJECTED unknown-key EKEYEXPIRED expired" \
	"2 process m @$T/forged.token" "2 reason m" "2 handle h m @$T/late.token" "2 reason m"
says "a thread that never called has no reason" "0 (nothing)" "0 thread 3" "3 reason m"
says "errors have words" "the token has expired; get a new one Too many open files unknown error" \
	"0 strerror 127" "0 strerror 24" "0 strerror 9999"
exec {leak}<>"$MNT/.sessionfs/thread"
client leaky
is "where something else has a control file open across exec, a thread is not bound" \
	"$(say leaky 0 open m "$MNT") $(say leaky 0 bind m "@$T/alice.token") $(say leaky 0 link "$MNT/self")" "0 EINVAL $UNBOUND"
end leaky
exec {leak}>&-

# -- the process ---------------------------------------------------------------------------------------------------------
says "a process is bound, and its threads" "0 0 0 alice-1 alice-1" "3 unbind m" "2 unbind m" "0 process m @$T/alice.token" \
	"2 link $MNT/self" "3 link $MNT/self"
says "but for those that are bound themselves" "0 bob-1 alice-1" "2 bind m @$T/bob.token" "2 link $MNT/self" "3 link $MNT/self"
says "a child is covered, and can't end it" "0 alice-1 0 alice-1" "3 fork 4" "4 link $MNT/self" "4 unprocess m" "4 link $MNT/self"
says "a child's own binding is its own" "0 alice-2 0 alice-1" "4 process m @$T/alice2.token" "4 link $MNT/self" "4 unprocess m" \
	"4 link $MNT/self"
says "it ends with unbind" "0 $UNBOUND $UNBOUND" "3 unprocess m" "3 link $MNT/self" "4 link $MNT/self"
says "and nothing was left of it to keep" ENOKEY "4 keep m"
cat >"$T/unbound" <<END # the last close is heard of a moment later
#!/bin/sh
for i in \$(seq $PATIENCE); do
	self=\$(readlink $MNT/self)
	[ "\$self" = $UNBOUND ] && break
	sleep 0.1
done
echo "\$self"
END
says "a process's binding does not outlive exec" "0 $UNBOUND" "4 process m @$T/alice.token" "4 exec sh $T/unbound"
says "its child ends" 0 "0 wait 4"
says "but for one that is to be kept" "0 0 0 alice-1 0" "3 fork 4" "4 process m @$T/alice.token" "4 keep m" \
	"4 exec readlink $MNT/self" "0 wait 4"

# -- fork ----------------------------------------------------------------------------------------------------------------
says "a child of a bound thread is not bound, and holds nothing" "0 0 $UNBOUND 0" "2 bind m @$T/bob.token" "2 fork 4" \
	"4 link $MNT/self" "4 fds .sessionfs/thread"
says "it binds itself, and its parent stays where it is" "0 alice-1 bob-1" "4 bind m @$T/alice.token" "4 link $MNT/self" \
	"2 link $MNT/self"
says "its unbind, and its end, are its own" "0 $UNBOUND bob-1 0 0 bob-1" "4 unbind m" "4 link $MNT/self" "2 link $MNT/self" "4 quit" \
	"0 wait 4" "2 link $MNT/self"
says "a parent's unbind and end leave a child alone" "0 0 0 alice-1" "2 fork 4" "4 bind m @$T/alice.token" "2 unbind m" \
	"4 link $MNT/self"
says "a grandchild starts anew too" "0 $UNBOUND 0 bob-1 alice-1 0 0 0" "4 fork 5" "5 link $MNT/self" "5 bind m @$T/bob.token" \
	"5 link $MNT/self" "4 link $MNT/self" "5 quit" "4 wait 5" "4 quit"
says "a child ends" 0 "0 wait 4"
says "a child may close what its parent has open" "0 0 0 bob-1" "2 bind m @$T/bob.token" "2 fork 4" "4 close m" "2 link $MNT/self"
says "and open it again" "0 0 alice-1 0 0" "4 open m $MNT" "4 bind m @$T/alice.token" "4 link $MNT/self" "4 quit" "0 wait 4"

# -- handles -------------------------------------------------------------------------------------------------------------
says "a handle opens" 0 "0 handle h m @$T/alice.token"
path=$(c "0 path h")
like "it has an absolute path in the mount" "$path" "$MNT/~*"
is "with a name of 44 characters" "$(basename "$path" | tr -d '\n' | wc -c)" 44
says "whoever knows it is in the session" "0 text EACCES" "3 put $path/g text" "3 get $path/g" "2 get $path/g"
says "two are two" "0" "3 handle i m @$T/bob.token"
unlike "with two names" "$(c "0 path i")" "$path"
says "a child has no copy, and the path" "0 0 text 0 text" "2 fork 4" "4 fds .sessionfs/handle" "4 get $path/g" "4 drop h" "3 get $path/g"
says "a child that the library can't know of has them" "0 2" "2 clone 5" "5 fds .sessionfs/handle"
says "closed, it is gone, whatever children there are" "0 ENOKEY 0 0 0" "0 drop h" "3 get $path/g" "4 quit" "0 wait 4" "0 drop i"
says "a child that was never told of its birth can bind itself, and nobody else" "0 alice-1 bob-1 0 bob-1 0 0" "5 bind m @$T/alice.token" \
	"5 link $MNT/self" "2 link $MNT/self" "5 unbind m" "2 link $MNT/self" "5 quit" "0 wait 5"
says "no control file stays behind" 0 "0 fds .sessionfs/handle"

# -- tokens --------------------------------------------------------------------------------------------------------------
KEY=$T/issuer/issuer.key
# claims TOKEN NAME…: from the token on standard input, as the daemon sees it.
claims() {
	"$BUILD/session-token" verify --keys "$T/keys.d" | python3 -c '
import json, sys
claims = json.load(sys.stdin)["claims"]
print(*(claims.get(n) for n in sys.argv[1:]))' "$@"
}
is "a token says what it was told" \
	"$(c "0 mint $KEY sub=aïsha sid=s-1 jti=j iss=i nbf=1000000000 extra={\"role\":[1,2]}" | claims sub sid jti iss nbf role aud)" \
	"aïsha s-1 j i 2001-09-09T01:46:40Z [1, 2] sessionfs"
is "left to itself, it has a random session, for eight hours" \
	"$(c "0 mint $KEY sub=a" | claims sid iat exp | python3 -c '
import datetime, re, sys
sid, iat, exp = sys.stdin.read().split()
f = datetime.datetime.fromisoformat
print(bool(re.fullmatch("[0-9a-f]{32}", sid)), f(exp.replace("Z", "+00:00")) - f(iat.replace("Z", "+00:00")))')" "True 8:00:00"
unlike "another each time" "$(c "0 mint $KEY sub=a" | claims sid)" "$(c "0 mint $KEY sub=a" | claims sid)"
says "what was minted binds" 0 "2 bind m $(c "0 mint $KEY sub=dave")"
mints() { says "mint: $1" "$2" "0 mint $3"; }
sub_rule="sub: must be 1 to 255 bytes of UTF-8 without control characters"
mints "no sub" "EINVAL $sub_rule" "$KEY sid=s"
mints "a sub that is not UTF-8" "EINVAL $sub_rule" "$KEY sub="$'\xff'
mints "a sid that is a path" "EINVAL sid: must be 1 to 128 of A-Z a-z 0-9 . _ -, not starting with . or ~, and not \"self\"" "$KEY sub=a sid=../b"
mints "an empty audience" "EINVAL aud: must have 1 to 255 bytes" "$KEY sub=a aud="
mints "an empty jti" "EINVAL jti: must have 1 to 255 bytes" "$KEY sub=a jti="
mints "an issuer that is too long" "EINVAL iss: must have 1 to 255 bytes" "$KEY sub=a iss=$(printf 'x%.0s' {1..256})"
mints "a ttl that ends before it begins" "EINVAL ttl: must be 1 second or more, and end before the year 10000" "$KEY sub=a ttl=-1"
mints "one beyond all sums" "EINVAL ttl: must be 1 second or more, and end before the year 10000" "$KEY sub=a ttl=9223372036854775807"
mints "one after the year 9999" "EINVAL a claim is not UTF-8 or not JSON, or the token ends after the year 9999" "$KEY sub=a ttl=253402300799"
mints "what is no object" "EINVAL a claim is not UTF-8 or not JSON, or the token ends after the year 9999" "$KEY sub=a extra=[]"
mints "a claim of ours among the others" "EINVAL a claim is not UTF-8 or not JSON, or the token ends after the year 9999" "$KEY sub=a extra={\"sub\":\"b\"}"
mints "too much" "EMSGSIZE the token would be longer than 4096 bytes" "$KEY sub=a extra={\"x\":\"$(printf 'x%.0s' {1..4000})\"}"
mints "no key" "ENOENT No such file or directory" "$T/none.key sub=a"
ln -s "$KEY" "$T/link.key"
install -m 644 "$KEY" "$T/open.key"
install -m 600 "$T/conf" "$T/text.key"
mkfifo -m 600 "$T/fifo.key"
mints "a link to a key" "ELOOP is a symbolic link" "$T/link.key sub=a"
mints "a key that others can read" "EPERM group or others have access to it (chmod 600)" "$T/open.key sub=a"
mints "a file without a key" "EBADMSG not one k4.secret key" "$T/text.key sub=a"
mints "a pipe" "EBADMSG not a regular file" "$T/fifo.key sub=a"

# -- all at once -----------------------------------------------------------------------------------------------------------
says "8 threads and their children never see another's session" 0 \
	"0 stress 8 ${STRESS:-40} m $MNT/self @$T/alice.token=alice-1 @$T/bob.token=bob-1 @$T/alice2.token=alice-2"
says "and leave nothing behind" "2 0" "0 fds .sessionfs/thread" "0 fds .sessionfs/handle"

# -- a mount that changes --------------------------------------------------------------------------------------------------
says "threads are bound" "0 0" "2 bind m @$T/bob.token" "3 bind m @$T/alice.token"
old=$DAEMON
umount -l "$MNT"
says "where nothing is mounted any more, nobody is bound to what was" "ENOTTY ENOTTY ENOTTY" "2 bind m @$T/bob.token" \
	"2 handle h m @$T/bob.token" "2 self m"
start -c "$T/conf" "$T/store" "$MNT" || bail "sessionfs does not start"
DAEMON=$(pgrep -f -- "$T/store $MNT" | grep -vx "$old")
says "a mount in its place is found" "0 bob-1 0" "2 bind m @$T/bob.token" "2 link $MNT/self" "2 put $MNT/self/f text"
is "by a thread at a time" "$(holders bob-1)/$(holders alice-1)" "thread/"
says "by the others" "0 alice-1" "3 bind m @$T/alice.token" "3 link $MNT/self"
says "a process and a handle find it too" "0 0 0 0 0 0" "0 process m @$T/alice.token" "0 unprocess m" "0 handle h m @$T/bob.token" "0 drop h" \
	"0 bind m @$T/bob.token" "0 unbind m"
ok "after which nothing keeps the old one alive" await gone "$old"

kill -KILL "$DAEMON"
await gone "$DAEMON"
says "where the daemon is dead, that is said" "ENOTCONN ENOTCONN ENOTCONN ENOTCONN" "2 bind m @$T/bob.token" "0 process m @$T/bob.token" \
	"0 self m" "0 open n $MNT"
says "unbind works all the same" 0 "3 unbind m"
umount -l "$MNT"
up
says "and the next one serves" "0 bob-1 0 alice-1" "2 bind m @$T/bob.token" "2 link $MNT/self" "3 bind m @$T/alice.token" \
	"3 link $MNT/self"
says "close ends what every thread has bound" "0 $UNBOUND $UNBOUND 0" "0 close m" "2 link $MNT/self" "3 link $MNT/self" \
	"0 fds .sessionfs/thread"
says "after which the mount can be opened and bound again" "0 0 bob-1" "0 open m $MNT" "2 bind m @$T/bob.token" "2 link $MNT/self"
ok "a client that is killed" kill -KILL "$main_pid"
ok "is not bound" await no_holder bob-1
[[ ! -s $T/main.err ]] && pass "nothing was printed" || { fail "nothing was printed"; fault; }

finish
