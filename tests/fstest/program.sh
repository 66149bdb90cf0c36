# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# For scripts that test a program by its status and its words; after lib.sh.
#
#     run CMD…                         $status, and what it prints and complains of in $out and $err, $T/out and $T/err
#     says CLAIM STATUS PATTERN CMD…   nothing on stdout, and the pattern matches what is on stderr

exec </dev/null # nothing waits for whoever may sit there

run() {
	timeout -k 5 20 "$@" >"$T/out" 2>"$T/err"
	status=$?
	out=$(<"$T/out") err=$(<"$T/err")
}

says() {
	local claim=$1 want=$2 pattern=$3
	shift 3
	run "$@"
	like "$claim" "$status|${#out}|$err" "$want|0|$pattern"
}
