#!/bin/bash
# SPDX-License-Identifier: MIT
# Many at once under the same names: see hammer.c.
. "${0%/*}/lib.sh"

tokens=()
for i in 1 2 3 4 5 6 7 8; do
	token "t$i" "user-$i" "session-$i"
	tokens+=("$T/t$i.token")
done

# hammer MODE ROUNDS [OPTION…]: its claims among ours.
hammer() {
	local line claims=0 mode=$1 rounds=$2
	shift 2
	while IFS= read -r line; do
		case $line in
		'ok '*) pass "$claim${line#ok * - }" ;;
		'not ok '*) fail "$claim${line#not ok * - }" ;;
		1..*) claims=${line#1..} ;;
		*) diag "$line" ;;
		esac
	done < <(timeout -k 5 100 "$HAMMER" -s 20240229 -r "$rounds" "$@" "$MNT" "$mode" "${tokens[@]}" 2>&1)
	is "$claim$mode: the hammer came to its end" "$claims" 6
}

[[ -x $HAMMER ]] || bail "$HAMMER is not built"
claim='guarded, '
up
hammer threads 100
hammer processes 100
hammer handles 60
hammer switch 100
down
claim='strict, '
up files.io=strict
hammer switch 60
down
claim='hidden names, '
up files.names=hidden
hammer threads 60
hammer switch 60
down
claim='two instances, '
up files.cache=shared
second files.cache=shared
hammer threads 100 -a "$TWO"
hammer processes 60 -a "$TWO"
hammer handles 60 -a "$TWO"
hammer switch 100 -a "$TWO"
stop_second
finish
