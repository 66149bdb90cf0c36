# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# What must hold between two instances, whatever filesystem the store is on, and wherever they run. Who includes this has
# included fstest/lib.sh, and provides
#
#     MOUNTS           the mount of instance 1 and of instance 2, as seen where each runs
#     on N WORDS…      runs a command where instance N runs, with the tokens of $T at the same path; its output
#
# and then calls `workload`, or single claims by name. A claim is a function that says pass or fail; to add one, write it
# and put its name into the list at the end.

CLUSTER=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
SESSIONS=8 # as many as hammer_start names

# Tokens for all that is below: made before the instances start, so that they may run where nothing can be minted.
workload_tokens() {
	local i
	token alice alice handover
	token ann ann revoked
	token full full full
	for ((i = 0; i < RACES; i++)); do
		token "race-a$i" "ada" "race-$i"
		token "race-b$i" "bob" "race-$i"
	done
	for ((i = 1; i <= SESSIONS; i++)); do token "t$i" "user-$i" "session-$i"; done
}
RACES=20

words() { local o=$1; printf '%s' "${o//$'\n'/ }"; }

# as N NAME SCRIPT: a shell script on instance N, bound with NAME's token, in the session's directory.
as() { on "$1" "$BUILD/session-exec" --token-file "$T/$2.token" "${MOUNTS[$1]}" -- sh -c "cd '${MOUNTS[$1]}/self/.' && { $3; }" 2>&1; }

# hands CLAIM WANT N SCRIPT N SCRIPT…: the last script's output.
hands() {
	local claim=$1 want=$2 got
	shift 2
	while [[ $# -gt 0 ]]; do
		got=$(as "$1" alice "$2")
		shift 2
	done
	is "$claim" "$(words "$got")" "$want"
}

handover() {
	hands "a session that is bound through one instance is usable through the other at once" "from one" 1 'echo "from one" >f' 2 'cat f'
	hands "and what that one writes is there for the first" "from two, longer" 2 'echo "from two, longer" >f' 1 'cat f'
	hands "its size too" "18 4" 1 'stat -c %s f; echo two >g' 1 'stat -c %s f; stat -c %s g' 2 'echo "from two, longer!" >f' 1 'stat -c %s f g'
	hands "what one renames away is gone" "absent new" 1 'echo new >a; cat a' 2 'cat a' 1 'mv a b' 2 'test -e a || echo absent; cat b'
	hands "what one renames over another is the new one" "newer" 2 'cat b' 1 'echo newer >c; mv c b' 2 'cat b'
	hands "what one removes is gone" "absent" 2 'rm b' 1 'test -e b || echo absent'
	hands "and can be made anew, exclusively" "anew" 1 'set -C; echo anew >b' 2 'cat b'
	hands "a directory that one replaces is the new one" "new-one x" 1 'mkdir d; echo 1 >d/f; ls d' 2 'ls d' 1 'mv d e; mkdir d; echo x >d/new-one' 2 'ls d; cat d/new-one'
	hands "a listing shows what the other did" "b d e f g" 2 'ls' 1 'echo 1 >h' 2 'rm h' 1 'ls'
	hands "what one appends follows what the other appended" "one two three" 1 'echo one >log' 2 'echo two >>log' 1 'echo three >>log' 2 'cat log'
	hands "a tree is removed whole, though its files were open a moment ago" "gone gone" 1 'mkdir -p t/u; for i in 1 2 3 4 5; do echo $i >t/u/$i; cat t/u/$i; done; cat t/u/*' \
		2 'cat t/u/1' 2 'rm -rf t && echo gone; test -e t || echo gone'
	hands "a whole megabyte is the same on both" "same" 1 'head -c 1000003 /dev/urandom >big; sha256sum big >sum' 2 'sha256sum -c sum >/dev/null && echo same'
}

# Sid ownership: of two users who bind a sid at the same time through two instances, one has it.
ownership() {
	local first when i a b wrong=0 one=0 two=0
	local -a files_a=() files_b=() say_a say_b
	for ((i = 0; i < RACES; i++)); do files_a+=("$T/race-a$i.token") files_b+=("$T/race-b$i.token"); done
	when=$(($(date +%s) + 2))
	on 1 python3 "$CLUSTER/race.py" bind "${MOUNTS[1]}" $when "${files_a[@]}" >"$T/race.1" 2>&1 &
	first=$!
	on 2 python3 "$CLUSTER/race.py" bind "${MOUNTS[2]}" $when "${files_b[@]}" >"$T/race.2" 2>&1
	wait $first
	mapfile -t say_a <"$T/race.1"
	mapfile -t say_b <"$T/race.2"
	for ((i = 0; i < RACES; i++)); do
		case ${say_a[i]-}/${say_b[i]-} in
		0/EKEYREJECTED) one=$((one + 1)) ;;
		EKEYREJECTED/0) two=$((two + 1)) ;;
		*) wrong=$((wrong + 1)); diag "race-$i: ${say_a[i]-nothing} and ${say_b[i]-nothing}" ;;
		esac
	done
	diag "$RACES sids: $one to the first instance's user, $two to the second's"
	is "of two users who bind one sid through two instances at once, one has it" "$wrong" 0
	is "and the owner is the same for whoever asks again, on either" "$(
		for ((i = 0; i < RACES; i++)); do
			a=${files_a[i]} b=${files_b[i]}
			[[ ${say_a[i]-} = 0 ]] || { a=${files_b[i]} b=${files_a[i]}; }
			printf '%s\n' "$a" "$b"
		done >"$T/order"
		mapfile -t order <"$T/order"
		on 1 python3 "$CLUSTER/race.py" bind "${MOUNTS[1]}" 0 "${order[@]}" >"$T/again.1"
		on 2 python3 "$CLUSTER/race.py" bind "${MOUNTS[2]}" 0 "${order[@]}" >"$T/again.2"
		sort -u "$T/again.1" "$T/again.2" | tr '\n' ' '
		[[ $(grep -c '^0$' "$T/again.1") = "$RACES" ]] && cmp "$T/again.1" "$T/again.2" && echo same
	)" "0 EKEYREJECTED same"
}

# Revoked through one, refused on the other.
revocation() {
	local user asked last first error
	on 2 python3 "$CLUSTER/race.py" use "${MOUNTS[2]}" 20 "$T/in-use" "$T/ann.token" >"$T/use" 2>&1 &
	user=$!
	if ! await test -e "$T/in-use"; then
		fail "a session is in use on the second instance"
		wait $user
		diag "$(<"$T/use")"
		return
	fi
	asked=$(date +%s.%N)
	on 1 sh -c "echo 'revoke revoked' >'${MOUNTS[1]}/.sessionfs/admin'"
	wait $user
	read -r last first error < <(tail -n 1 "$T/use")
	is "a session that one instance revokes is refused on the other" "$error" EKEYREVOKED
	awk -v a="$asked" -v l="$last" -v f="$first" 'BEGIN { exit !(l < a + 10 && f < a + 10) }'
	is "within seconds" "$?" 0
	diag "$(awk -v a="$asked" -v l="$last" -v f="$first" 'BEGIN { printf "the last use that was granted began %.1f s after the revocation was asked for", l - a }')"
	is "and can't be bound again on either" "$(words "$(on 1 python3 "$CLUSTER/race.py" bind "${MOUNTS[1]}" 0 "$T/ann.token"
		on 2 python3 "$CLUSTER/race.py" bind "${MOUNTS[2]}" 0 "$T/ann.token")")" "EKEYREVOKED EKEYREVOKED"
}

# hammer_start NAME N MODE OPTION…: a hammer on instance N, in HAMMER_SESSIONS or all of them. hammer_claims NAME CLAIM makes
# its claims ours.
hammer_words() { local n=$1 mode=$2; shift 2; printf '%s\n' timeout -k 5 200 "$HAMMER" "$@" "${MOUNTS[$n]}" "$mode"; }
hammer_start() {
	local out=$1 n=$2 words i
	shift 2
	mapfile -t words < <(hammer_words "$n" "$@")
	for i in ${HAMMER_SESSIONS:-1 2 3 4 5 6 7 8}; do words+=("$T/t$i.token"); done
	on "$n" "${words[@]}" >"$T/$out" 2>&1
}
hammer_claims() {
	local line claims=0
	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		'ok '*) pass "$2: ${line#ok * - }" ;;
		'not ok '*) fail "$2: ${line#not ok * - }" ;;
		1..*) claims=${line#1..} ;;
		*) diag "${line#\# }" ;;
		esac
	done <"$T/$1"
	is "$2: the hammer came to its end" "$claims" 6
}

# Of a session's limit, which both write against at once, no byte more is granted than there is.
SESSION_BYTES=8388608
limits() {
	local first total
	as 1 full 'head -c 12000000 /dev/zero >one' >"$T/full.1" &
	first=$!
	as 2 full 'head -c 12000000 /dev/zero >two' >"$T/full.2"
	wait $first
	like "both are refused more than a session may have" "$(words "$(<"$T/full.1")") $(words "$(<"$T/full.2")")" "*quota exceeded*quota exceeded*"
	total=$(as 1 full 'stat -c %s one two' | awk '{ n += $1 } END { print n }')
	is "together they have no more" "$((total <= SESSION_BYTES))" 1
	is "and most of it" "$((total > SESSION_BYTES / 2))" 1
	diag "$total bytes of $SESSION_BYTES"
}

# Both at once in the same sessions: bytes, sizes and names of another session may never be seen.
together() {
	local first
	hammer_start hammer.1 1 switch -z -s 1 -r "${ROUNDS:-60}" &
	first=$! # a process substitution changes $!
	hammer_start hammer.2 2 switch -z -s 2 -r "${ROUNDS:-60}"
	wait $first
	hammer_claims hammer.1 "both at once, first"
	hammer_claims hammer.2 "both at once, second"
}

# What is in all sessions, seen from instance N: name and digest of each file.
contents() {
	local i
	for ((i = 1; i <= SESSIONS; i++)); do
		as "$1" "t$i" 'sha256sum *'
	done
}
same_contents() {
	local one two
	one=$(contents 1)
	two=$(contents 2)
	is "$1: both instances show the same content" "$(md5sum <<<"$two")" "$(md5sum <<<"$one")"
	like "$1: and there is some" "$one" '*  file-*  only-session-*'
	unlike "$1: all of which can be read" "$one" '*[Ee]rror*'
}

WORKLOAD=(handover ownership revocation limits together)
workload() {
	local claim
	for claim in "${WORKLOAD[@]}"; do
		"$claim"
		alive || bail "an instance has died"
	done
}
