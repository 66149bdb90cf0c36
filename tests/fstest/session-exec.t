#!/bin/bash
# SPDX-License-Identifier: MIT
# A command in a session: session-exec.
. "${0%/*}/lib.sh"
. "${0%/*}/program.sh"

EXEC=$BUILD/session-exec
up
token alice alice alice-1
token bob bob bob-1
A=$MNT/alice-1
ALICE="$T/alice.token"

refuses() { local claim=$1 pattern=$2; shift 2; says "$claim" 1 "session-exec: $pattern" "$EXEC" "$@"; }
misused() { local claim=$1 pattern=$2; shift 2; says "$claim" 2 "$pattern" "$EXEC" "$@"; }
# gives CLAIM WANT ARGUMENT…: with Alice's token, the command's status and output.
gives() {
	local claim=$1 want=$2
	shift 2
	run "$EXEC" --token-file "$ALICE" "$@"
	is "$claim" "$status|$err|$out" "$want"
}

# -- misuse ----------------------------------------------------------------------------------------------------------------

misused "a mount alone is misuse" "usage: session-exec *" "$MNT"
misused "a command is needed" "usage: session-exec *" "$MNT" --
misused "the -- is not optional" "usage: session-exec *" "$MNT" true
misused "the mount comes before it" "usage: session-exec *" -- "$MNT" true
misused "a token comes from one place" "session-exec: --token-file and --token-fd exclude each other" \
	--token-file "$ALICE" --token-fd 3 "$MNT" -- true
for n in "" x 3x -1 0 1 2 99999999999 0x3 ' 3'; do
	misused "'$n' is no descriptor for a token" "session-exec: --token-fd $n: must be a descriptor's number, 3 or more" \
		--token-fd "$n" "$MNT" -- true
done
misused "an unknown option is misuse" "*session-exec: unrecognized option '--bind'" --bind "$MNT" -- true
run python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "$EXEC" "$MNT" -- true
like "a terminal is not asked for a token" "$status|$out" "2|session-exec: no token: give --token-file, *"
gives "an option behind the -- is the command's" "0||--help" "$MNT" -- sh -c 'echo "$@"' sh --help
gives "also where it is the only one" "0||--version --token-fd" "$MNT" -- sh -c 'echo "$@"' sh --version --token-fd

# -- no token, no command ----------------------------------------------------------------------------------------------------

: >"$T/empty"
printf '\n%s\n' "$(<"$ALICE")" >"$T/late-line"
head -c 5000 /dev/zero | tr '\0' x >"$T/long"
refuses "nothing on standard input is no token" "standard input: no token" "$MNT" -- touch "$T/ran"
refuses "an empty file is none" "$T/empty: no token" --token-file "$T/empty" "$MNT" -- touch "$T/ran"
refuses "the first line counts" "$T/late-line: no token" --token-file "$T/late-line" "$MNT" -- touch "$T/ran"
refuses "a file that is not there is none" "$T/none: No such file or directory" --token-file "$T/none" "$MNT" -- touch "$T/ran"
refuses "a directory is none" "$T: Is a directory" --token-file "$T" "$MNT" -- touch "$T/ran"
refuses "what is too long is none" "$T/long: longer than a token of 4096 bytes" --token-file "$T/long" "$MNT" -- touch "$T/ran"
refuses "a closed descriptor has none" "descriptor 77: Bad file descriptor" --token-fd 77 "$MNT" -- touch "$T/ran"

# -- no mount, no command ------------------------------------------------------------------------------------------------------

mkdir -p "$T/plain/.sessionfs"
mkfifo "$T/plain/.sessionfs/process"
refuses "a directory that is not a mount says so" "$T/plain: no sessionfs is mounted here" --token-file "$ALICE" "$T/plain" -- touch "$T/ran"
refuses "nor is a file" "$ALICE: Not a directory" --token-file "$ALICE" "$ALICE" -- touch "$T/ran"
refuses "nor what is not there" "$T/none: No such file or directory" --token-file "$ALICE" "$T/none" -- touch "$T/ran"

# -- no session, no command ------------------------------------------------------------------------------------------------------

forged forged alice alice-1
damaged damaged alice
expired late alice alice-1
token stranger stranger alice-1
token gone gone gone-1
fst -b "thread:$ALICE" stat "$A" >/dev/null # its own from here on
fst -b "thread:$T/gone.token" stat "$MNT/gone-1" >/dev/null
echo "revoke gone-1" >"$MNT/.sessionfs/admin"
printf 'no token\nat all\n' >"$T/words.token"
for pair in "forged:the token is not accepted here (unknown-key)" "damaged:the token is not accepted here (bad-signature)" \
	"stranger:the token is not accepted here (sid-of-another-user)" "late:the token has expired; get a new one" \
	"gone:the session has been revoked" "words:the token is not accepted here"; do
	refuses "a token that is refused (${pair%%:*}) says why" "$MNT: bind refused: ${pair#*:}" \
		--token-file "$T/${pair%%:*}.token" "$MNT" -- touch "$T/ran"
done
ok "whatever was wrong, the command did not run" test ! -e "$T/ran"

# -- the command ----------------------------------------------------------------------------------------------------------------

gives "a command runs in the session" "0||alice-1" "$MNT" -- readlink "$MNT/self"
gives "and so do its descendants" "0||alice-1" "$MNT" -- sh -c "sh -c 'readlink $MNT/self; true'; true"
gives "it sees its own alone" "0||alice-1 self" "$MNT" -- sh -c "ls $MNT | xargs"
run "$EXEC" --token-file "$ALICE" "$MNT" -- cat "$MNT/bob-1/f"
like "and no other" "$status|$out|$err" "1||*Permission denied"
gives "what it writes is in the session" "0||" "$MNT" -- sh -c "echo mine >$MNT/self/f"
is "and nowhere else" "$(<"$(data alice-1)/f")" mine
ln -s mnt/self "$T/uploads"
gives "a link to self leads to the mount" "0||mine" "$T/uploads" -- cat "$T/uploads/f"

gives "its status is the command's" "7||" "$MNT" -- sh -c 'exit 7'
gives "also where that looks like one of ours" "2||" "$MNT" -- sh -c 'exit 2'
"$EXEC" --token-file "$ALICE" "$MNT" -- sh -c 'kill -TERM $$' 2>/dev/null
is "it dies of the command's signal" "$?" $((128 + 15))
says "a command that is not there: 127" 127 "session-exec: $T/none: No such file or directory" "$EXEC" --token-file "$ALICE" "$MNT" -- "$T/none"
says "also where it is looked for in PATH" 127 "session-exec: no-such-command: No such file or directory" \
	"$EXEC" --token-file "$ALICE" "$MNT" -- no-such-command
says "one that can't be run: 126" 126 "session-exec: $T/empty: Permission denied" "$EXEC" --token-file "$ALICE" "$MNT" -- "$T/empty"
says "a directory: 126" 126 "session-exec: $T: Permission denied" "$EXEC" --token-file "$ALICE" "$MNT" -- "$T"

# -- where the token comes from, and where it does not go ----------------------------------------------------------------------------

run "$EXEC" "$MNT" -- cat < <(cat "$ALICE"; printf 'rest\n\nof it')
is "standard input's first line is the token, and what follows the command's" "$status|$err|$out" "0||rest

of it"
run "$EXEC" "$MNT" -- readlink "$MNT/self" < <(printf %s "$(<"$ALICE")")
is "it may lack its newline" "$status|$err|$out" "0||alice-1"
run "$EXEC" --token-file <(cat "$ALICE") "$MNT" -- readlink "$MNT/self"
is "the file may be a pipe" "$status|$err|$out" "0||alice-1"
run "$EXEC" --token-fd 7 "$MNT" -- sh -c "readlink $MNT/self; readlink /proc/\$\$/fd/7" 7<"$ALICE"
is "a token's descriptor is closed before the command runs" "$status|$err|$out" "1||alice-1"
gives "and so is its file" "0||" "$MNT" -- sh -c "ls -l /proc/\$\$/fd | grep '[.]token'; true"
seen=$("$EXEC" --token-file "$ALICE" "$MNT" -- sh -c 'tr "\0" "\n" </proc/$$/cmdline; tr "\0" "\n" </proc/$$/environ; set')
unlike "the command finds no token in its arguments or its environment" "$seen" "*$(head -c 60 "$ALICE" | tail -c 30)*"
unlike "and the audit has none" "$(<"$AUDIT")" "*v4.public*"
unlike "nor has the daemon's log" "$(<"$T/log")" "*v4.public*"
like "the audit does tell of the binds" "$(audit event=bind scope=process sid=alice-1 | head -1)" '*"sub":"alice"*'

# -- how long it lasts ---------------------------------------------------------------------------------------------------------------

gives "the binding is one open file, numbered 100 or more" "0||1" "$MNT" -- \
	sh -c "ls -l /proc/\$\$/fd | awk '\$NF == \"$MNT/.sessionfs/process\" && \$(NF - 2) >= 100 { n++ } END { print n }'"
gives "what a script does with the low descriptors does not end it" "0||alice-1" "$MNT" -- \
	bash -c "exec 3</dev/null 4<&3 9<&3; exec 3<&- 4<&- 9<&-; readlink $MNT/self"
gives "closing it does" "0||.sessionfs/unbound" "$MNT" -- bash -c "for f in /proc/\$\$/fd/*; do
	[[ \$(readlink \$f) = */.sessionfs/process ]] && eval \"exec \${f##*/}>&-\"; done; readlink $MNT/self"
run bash -c "ulimit -n 50; exec '$EXEC' --token-file '$ALICE' '$MNT' -- readlink '$MNT/self'"
is "where descriptors are few it has a low number, and holds all the same" "$status|$err|$out" "0||alice-1"
nobody() { "$BUILD/session-ls" --json --live "$MNT" | python3 -c 'import json, sys; sys.exit(len(json.load(sys.stdin)["sessions"]))'; }
ok "when the commands have ended, nobody is bound" await nobody
gives "within another's session, one's own counts" "0||bob-1 alice-1" "$MNT" -- \
	sh -c "echo \$('$EXEC' --token-file '$T/bob.token' '$MNT' -- readlink $MNT/self) \$(readlink $MNT/self)"

install -m 755 "$EXEC" "$T/exec"
install -m 600 "$ALICE" "$T/root.token"
cp "$ALICE" "$T/users.token" && chown 1000 "$T/users.token" && chmod 600 "$T/users.token"
run setpriv --reuid 1000 --regid 1000 --clear-groups "$T/exec" --token-file "$T/users.token" "$MNT" -- readlink "$MNT/self"
is "any user can run it" "$status|$err|$out" "0||alice-1"
says "but not with another's token file" 1 "exec: $T/root.token: Permission denied" \
	setpriv --reuid 1000 --regid 1000 --clear-groups "$T/exec" --token-file "$T/root.token" "$MNT" -- true

# -- a daemon that is gone -----------------------------------------------------------------------------------------------------------

kill -KILL "$DAEMON" && await gone "$DAEMON"
refuses "a mount that its daemon has left says how to clear it" \
	"$MNT: its daemon is gone (clear the mount with umount -l, and mount it again)" --token-file "$ALICE" "$MNT" -- true
umount -l "$MNT"
refuses "cleared, it is no mount" "$MNT: no sessionfs is mounted here" --token-file "$ALICE" "$MNT" -- true

finish
