#!/bin/bash
# SPDX-License-Identifier: MIT
# The priority of the threads that serve requests: daemon.nice.
. "${0%/*}/lib.sh"

# How many threads of the daemon have a nice.
with_nice() {
	local task rest n=0
	for task in "/proc/$DAEMON/task/"*; do
		rest=$(<"$task/stat")
		set -- "$1" ${rest##*) }
		[[ ${18} = "$1" ]] && n=$((n + 1))
	done
	echo $n
}
at_least() { [[ $(with_nice "$2") -ge $1 ]]; }
of_audit() { local t; t=$(grep -lx audit "/proc/$DAEMON/task/"*/comm) && set -- $(sed 's/.*) //' "${t%comm}stat") && echo "${17}"; }
audit_has() { [[ $(of_audit) = "$1" ]]; }

up daemon.threads=12
ok "12 threads serve at -10" at_least 12 -10
ok "what nobody waits for is of the usual priority" await audit_has 0
ok "and so are the others of its kind" await at_least 5 0
# Where the kernel has autogroups. The daemon in the background is the leader of a session of its own.
if [[ -r /proc/$DAEMON/autogroup ]]; then
	like "its session has it as well" "$(</proc/$DAEMON/autogroup)" '* nice -10'
fi
token alice alice alice-1
is "requests are served" "$(fst must bind thread "$T/alice.token" : must put "$MNT/alice-1/f" text : get "$MNT/alice-1/f")" text
down

up daemon.threads=12 daemon.nice=-3
ok "another nice is as it is said" at_least 12 -3
down

up daemon.threads=12 daemon.nice=0
is "0 leaves all as they are" "$(with_nice 0)" "$(ls "/proc/$DAEMON/task" | wc -l)"
down

# -- without the right to it ----------------------------------------------------------------------------------------------

timeout -k 5 30 setpriv --bounding-set -sys_nice --inh-caps -sys_nice "$BUILD/sessionfs" -c "$T/conf" -o daemon.threads=12 "$T/store" "$MNT" \
	>"$T/log" 2>&1 </dev/null
DAEMON=$(daemon_of "$T/store" "$MNT")
echo "$DAEMON" >"$T/daemon"
like "who may not says so" "$(<"$T/log")" '*daemon.nice: Permission denied*'
is "and serves all the same" "$(fst must bind thread "$T/alice.token" : get "$MNT/alice-1/f") $(with_nice 0)" \
	"text $(ls "/proc/$DAEMON/task" | wc -l)"
down

finish
