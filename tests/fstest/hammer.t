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
mkdir "$T/mnt2"
start -c "$T/conf" -o "audit.to=$T/audit2,files.cache=shared" "$T/store" "$T/mnt2" || bail "a second daemon does not start"
SECOND=$(daemon_of "$T/store" "$T/mnt2")
hammer threads 100 -a "$T/mnt2"
hammer processes 60 -a "$T/mnt2"
hammer handles 60 -a "$T/mnt2"
hammer switch 100 -a "$T/mnt2"
umount "$T/mnt2"
await gone "$SECOND" || kill -KILL "$SECOND"
finish
