# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# For the scripts beside it, which begin with `. "${0%/*}/lib.sh"`: a scratch directory $T with keys, a store and a
# mountpoint $MNT; a daemon; TAP. All of it is gone when the script ends, however it ends.
#
#     token NAME SUB SID [OPTION…]     mints into $T/NAME.token
#     up [SECTION.KEY=VALUE…]          mounts; down unmounts
#     fst WORDS…                       the driver, see fstest.c
#     is CLAIM GOT WANT                WANT may have alternatives: EACCES|EEXIST
#     finish                           prints the plan: the last line of each script

set -u
export LC_ALL=C
HERE=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
BUILD=${SESSIONFS_BUILD:-build/release}
[[ $BUILD = /* ]] || BUILD=$ROOT/$BUILD
FSTEST=${FSTEST:-$BUILD/tests/fstest/fstest}
HAMMER=${HAMMER:-$BUILD/tests/fstest/hammer}
PATIENCE=${PATIENCE:-100} # tenths of a second, for whatever must come about
LIMIT=${LIMIT:-180}       # seconds for a script

# -- TAP ---------------------------------------------------------------------------------------------------------------

tests=0 failures=0

pass() { printf 'ok %d - %s\n' $((++tests)) "$1"; }
fail() { printf 'not ok %d - %s\n' $((++tests)) "$1"; failures=$((failures + 1)); }
diag() { printf '# %s\n' "$@"; }

is() {
	if [[ $2 == "$3" || ( $3 == *'|'* && "|$3|" == *"|$2|"* && $2 != *'|'* ) ]]; then
		pass "$1"
	else
		fail "$1"
		diag " got: ${2//$'\n'/$'\n'#       }" "want: ${3//$'\n'/$'\n'#       }"
	fi
}

# WANT is a shell pattern.
like() {
	# shellcheck disable=SC2053
	if [[ $2 == $3 ]]; then
		pass "$1"
	else
		fail "$1"
		diag " got: ${2//$'\n'/$'\n'#       }" "want: $3"
	fi
}

unlike() {
	# shellcheck disable=SC2053
	if [[ $2 != $3 ]]; then
		pass "$1"
	else
		fail "$1"
		diag "     got: ${2//$'\n'/$'\n'#           }" "not want: $3"
	fi
}

# ok CLAIM CMD…: the command succeeds.
ok() {
	local claim=$1
	shift
	if "$@"; then pass "$claim"; else fail "$claim"; fi
}

skip() { printf 'ok %d # SKIP %s\n' $((++tests)) "$1"; }
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
bail() { echo "Bail out! $1"; [[ -s ${T-}/log ]] && sed 's/^/# /' "$T/log"; exit 2; }

finish() {
	down
	echo "1..$tests"
	exit $((failures != 0))
}

# -- the scratch directory -----------------------------------------------------------------------------------------------

below() { awk -v m="$1" 'index($2, m) == 1 { print $2 }' /proc/self/mounts | sort -r; }

cleanup() {
	local m
	trap - EXIT
	[[ -n ${WATCHDOG-} ]] && kill "$WATCHDOG" 2>/dev/null
	[[ -n ${DAEMON-} ]] && kill -KILL "$DAEMON" 2>/dev/null
	for m in $(below "$T/"); do umount "$m" 2>/dev/null || umount -l "$m"; done
	rm -rf --one-file-system "$T"
}

# A hung mount holds everybody who touches it: the daemon is killed first, and with it the hang.
watchdog() {
	local never
	exec {never}<> <(:)
	read -r -t "$LIMIT" -u "$never"
	kill -KILL $(<"$T/daemon")
	kill -TERM $$
}

[[ $(id -u) = 0 ]] || bail "these tests mount: run them as root"
[[ -c /dev/fuse ]] || bail "there is no /dev/fuse: load the fuse module (modprobe fuse)"
[[ -x $BUILD/sessionfs && -x $FSTEST ]] || bail "$BUILD/sessionfs and $FSTEST are not built"

T=$(mktemp -d "${TMPDIR:-/tmp}/fstest.XXXXXX") || bail "no scratch directory"
MNT=$T/mnt TWO=$T/mnt2
AUDIT=$T/audit
DAEMON=
trap cleanup EXIT
trap 'exit 130' INT
trap 'echo "Bail out! ended by a signal, or after $LIMIT s"; exit 143' TERM HUP
chmod 755 "$T"
mkdir "$MNT" "$TWO" "$T/keys.d"
mkdir -m 700 "$T/store"
"$BUILD/session-token" keygen "$T/issuer" >/dev/null || bail "session-token keygen failed"
"$BUILD/session-token" keygen "$T/forger" >/dev/null || bail "session-token keygen failed"
cp "$T/issuer/issuer.pub" "$T/keys.d/"
cat >"$T/conf" <<END
[tokens]
keys = $T/keys.d
[audit]
to = $AUDIT
END
watchdog >/dev/null 2>&1 </dev/null &
WATCHDOG=$!

# -- tokens --------------------------------------------------------------------------------------------------------------

# token NAME SUB SID [OPTION…]
token() {
	local name=$1 sub=$2 sid=$3
	shift 3
	[[ " $* " == *' --ttl '* ]] || set -- --ttl 1h "$@"
	"$BUILD/session-token" mint --key "$T/issuer/issuer.key" --sub "$sub" --sid "$sid" "$@" \
		>"$T/$name.token" || bail "session-token mint failed"
}

# A token that nobody who is trusted has signed, one whose signature has a wrong bit, and one that is no token.
forged() {
	"$BUILD/session-token" mint --key "$T/forger/issuer.key" --sub "$2" --sid "$3" --ttl 1h >"$T/$1.token"
}
damaged() {
	local text
	text=$(<"$T/$2.token")
	local body=${text%.*} footer=${text##*.}
	local c=${body: -20:1}
	[[ $c = A ]] && c=B || c=A
	printf '%s%s%s.%s\n' "${body:0:-20}" "$c" "${body: -19}" "$footer" >"$T/$1.token"
}

# Waits until a condition holds, for PATIENCE tenths of a second.
await() {
	local i
	for ((i = 0; i < PATIENCE; i++)); do
		"$@" && return 0
		sleep 0.1
	done
	return 1
}

is_expired() { ! "$BUILD/session-token" verify --keys "$T/keys.d" <"$T/$1.token" >/dev/null 2>&1; }

# expired NAME SUB SID: a genuine token whose time is over.
expired() {
	token "$1" "$2" "$3" --ttl 1s
	await is_expired "$1" || bail "a token of one second does not expire"
}

# -- the daemon ----------------------------------------------------------------------------------------------------------

gone() { ! kill -0 "$1" 2>/dev/null; }
mounted() { awk -v m="${1:-$MNT}" '$2 == m { found = 1 } END { exit !found }' /proc/self/mounts; }

# start WORDS…: the daemon with these arguments; its status, its words in $T/log.
start() { timeout -k 5 30 "$BUILD/sessionfs" "$@" >"$T/log" 2>&1 </dev/null; }

# The process of a daemon by its last two arguments. Not by pgrep: that looks into everybody's /proc/<pid>/cmdline, which
# waits for a process that hangs, wherever it is.
daemon_of() {
	local p words
	for p in /proc/[0-9]*; do
		[[ $(<"$p/comm") = sessionfs ]] || continue
		mapfile -d '' -t words <"$p/cmdline"
		[[ ${#words[@]} -ge 2 && "${words[*]: -2}" = "$1 $2" ]] && echo "${p#/proc/}" && return
	done 2>/dev/null
}

options() { local IFS=,; [[ $# -gt 0 ]] && printf -- '-o\n%s\n' "$*"; }

up() {
	local o
	mapfile -t o < <(options "$@")
	start -c "$T/conf" "${o[@]}" "$T/store" "$MNT" || bail "sessionfs does not start"
	mounted || bail "sessionfs returned and nothing is mounted"
	DAEMON=$(daemon_of "$T/store" "$MNT")
	[[ $DAEMON ]] || bail "sessionfs returned and does not run"
	echo "$DAEMON" >"$T/daemon"
}

down() {
	local m
	for m in $(below "$MNT/"); do umount "$m"; done
	mounted || return 0
	umount "$MNT" || { diag "$MNT is busy"; umount -l "$MNT"; }
	# It writes what is not stored yet; on a busy disk that takes a while.
	if [[ -n $DAEMON ]] && ! PATIENCE=400 await gone "$DAEMON"; then
		fail "an unmounted daemon ends"
		kill -KILL "$DAEMON"
	fi
	DAEMON=
}

# Another daemon over the same store, at $TWO, with its words in $T/log2: second [SECTION.KEY=VALUE…]; stop_second ends it.
second() {
	local o
	mapfile -t o < <(options "audit.to=$T/audit2" daemon.name=two "$@")
	timeout -k 5 30 "$BUILD/sessionfs" -c "$T/conf" "${o[@]}" "$T/store" "$TWO" >"$T/log2" 2>&1 </dev/null || bail "a second daemon does not start"
	SECOND=$(daemon_of "$T/store" "$TWO")
}
stop_second() {
	umount "$TWO"
	await gone "$SECOND" || kill -KILL "$SECOND"
}

fst() { timeout -k 5 100 "$FSTEST" -m "$MNT" "$@" 2>&1; }

# -- what is in the store -------------------------------------------------------------------------------------------------

data() {
	local name
	name=$(printf %s "$1" | b2sum -l 256)
	name=${name%% *}
	echo "$T/store/sessions/${name:0:2}/$name/data"
}

# One line for all that sessions hold: names, kinds, modes, owners, sizes, change times. Made a script for the driver's `run`.
cat >"$T/snapshot" <<END
#!/bin/sh
find $T/store/sessions/*/*/data -printf '%p %y %m %U:%G %s %n %C@ %l\n' | sort | md5sum | cut -c1-32
END
chmod 755 "$T/snapshot"

# The audit's lines that have all of these key=value pairs, as `key=value …` would match them: `audit event=refused op=mkdir`.
audit() {
	python3 -c '
import json, sys
want = dict(w.split("=", 1) for w in sys.argv[2:])
for line in open(sys.argv[1], encoding="utf-8"):
    event = json.loads(line)
    if all(str(event.get(k)) == v for k, v in want.items()):
        print(line, end="")
' "$AUDIT" "$@"
}
