#!/bin/bash
# SPDX-License-Identifier: MIT
# .sessionfs/metrics: what was done is counted, and nothing else.
. "${0%/*}/lib.sh"

up
token alice alice alice-1
token bob bob bob-1
forged forged alice alice-1
A=$MNT/alice-1

metrics() { cat "$MNT/.sessionfs/metrics"; }
value() { metrics | awk -v n="$1" 'index($0, n " ") == 1 { print $NF; found = 1 } END { if (!found) print 0 }'; }

# grows CLAIM NAME BY WORDS…: a metric before and after what the driver does.
grows() {
	local claim=$1 name=$2 by=$3 before
	shift 3
	before=$(value "$name")
	fst -u 1000:1000 "$@" >/dev/null
	is "$claim" "$(($(value "$name") - before))" "$by"
}

strict() { python3 "$HERE/exposition.py" "$@" 2>&1; }

# -- the format: first, that its checker finds what is wrong ---------------------------------------------------------------

counter='# HELP x_total X.\n# TYPE x_total counter\n'
histogram='# HELP h H.\n# TYPE h histogram\n'
# refused CLAIM TEXT: the checker has something to say.
refused() { like "no Prometheus text: $1" "$(printf '%b' "$2" | strict)" 'line *: *'; }
is "what is right is passed" "$(printf '%b' "$counter"'x_total{a="\\\\ \\" \\n",b=""} 1\nx_total{a="",b=""} 1e+06\n'"$histogram"'h_bucket{le="0.1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3.5\nh_count 2\n' | strict)" ""
refused "no newline at the end" "${counter}x_total 1"
refused "a sample of no family" 'x_total 1\n'
refused "of another family" "${counter}y_total 1\n"
refused "a family twice" "${counter}x_total 1\n${counter}"
refused "TYPE without HELP" '# TYPE x_total counter\nx_total 1\n'
refused "HELP without TYPE" '# HELP x_total X.\n'
refused "a series twice" "$counter"'x_total{a="1",b="2"} 1\nx_total{b="2",a="1"} 1\n'
refused "a label twice" "$counter"'x_total{a="1",a="2"} 1\n'
refused "labels that differ" "$counter"'x_total{a="1"} 1\nx_total{b="1"} 1\n'
refused "a quote that is not escaped" "$counter"'x_total{a="""} 1\n'
refused "another escape" "$counter"'x_total{a="\\t"} 1\n'
refused "a byte that is no UTF-8" "$counter"'x_total{a="\xff"} 1\n'
refused "a timestamp" "${counter}x_total 1 1700000000000\n"
refused "no number" "${counter}x_total one\n"
refused "a counter below 0" "${counter}x_total -1\n"
refused "a counter without _total" '# HELP x X.\n# TYPE x counter\nx 1\n'
refused "a gauge with _total" '# HELP x_total X.\n# TYPE x_total gauge\nx_total 1\n'
refused "a blank line" "${counter}\nx_total 1\n"
refused "no +Inf" "$histogram"'h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n'
refused "buckets that fall" "$histogram"'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'
refused "bounds that fall" "$histogram"'h_bucket{le="2"} 1\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'
refused "a count that is not +Inf's" "$histogram"'h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n'
refused "no sum" "$histogram"'h_bucket{le="+Inf"} 1\nh_count 1\n'
refused "a bucket without le" "$histogram"'h_bucket 1\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'

is "the text is Prometheus'" "$(metrics | strict)" ""
# The name at the end of an .It line, or before its label.
is "each family is in the manual" "$(metrics | awk '$2 == "TYPE" { print $3 }' | while read -r m; do
	grep -q "^\.It Em $m\( \|$\)" "$ROOT/fs/sessionfs-control.5" || echo "$m"; done)" ""
is "and each reason" "$(metrics | sed -n 's/^sessionfs_refusal_reasons_total{reason="\(.*\)"} .*/\1/p' | while read -r word; do
	sed -n '/^\.Sh DIAGNOSTICS/,$p' "$ROOT/fs/sessionfs-control.5" | tr -s ' ,' '\n' | grep -qx -- "$word" || echo "$word"; done)" ""

# -- what is counted ---------------------------------------------------------------------------------------------------

bound=(must bind thread "$T/alice.token" :)
is "a file to work on" "$(fst -u 1000:1000 "${bound[@]}" put "$A/f" content : put "$A/g" content)" $'0\n0'
grows "mkdir is counted" 'sessionfs_requests_total{op="mkdir"}' 3 "${bound[@]}" mkdir "$A/d1" : mkdir "$A/d2" : mkdir "$A/d3"
grows "written bytes are counted" sessionfs_written_bytes_total 12 "${bound[@]}" must f=open "$A/f" O_WRONLY : write @f 12345 : write @f 1234567
grows "a refused operation is counted by its errno" 'sessionfs_refusals_total{errno="EACCES"}' 2 "${bound[@]}" stat "$MNT/bob-1" : stat "$MNT/bob-1"
grows "an unbound caller's too" 'sessionfs_refusals_total{errno="ENOKEY"}' 1 stat "$A"
by() { echo "sessionfs_refusal_reasons_total{reason=\"$1\"}"; }
token mallory mallory alice-1
grows "and by its reason" "$(by another-session)" 2 "${bound[@]}" stat "$MNT/bob-1" : stat "$MNT/bob-1"
grows "an unbound caller's" "$(by not-bound)" 1 stat "$A"
grows "that something is done to the root" "$(by root)" 1 "${bound[@]}" chmod "$MNT" 0700
grows "that a fixed name is touched" "$(by fixed-name)" 1 "${bound[@]}" unlink "$MNT/self"
grows "a forbidden symlink" "$(by symlink)" 1 "${bound[@]}" symlink f "$A/link"
grows "a control file for root alone" "$(by control-file)" 1 open "$MNT/.sessionfs/metrics" O_RDONLY
grows "a token's fault" "$(by unknown-key)" 1 bind thread "$T/forged.token"
grows "a session id of two users" "$(by sid-of-another-user)" 1 bind thread "$T/mallory.token"
is "one that never came is there as 0" "$(metrics | grep -F "$(by too-many-bindings)")" "$(by too-many-bindings) 0"
is "errnos and reasons count the same" "$(metrics | awk '/^sessionfs_refusals_total/ { n += $2 } /^sessionfs_refusal_reasons_total/ { n -= $2 } END { print n }')" 0
grows "binds are counted: thread" 'sessionfs_binds_total{scope="thread"}' 1 bind thread "$T/alice.token"
grows "binds are counted: process" 'sessionfs_binds_total{scope="process"}' 1 bind process "$T/alice.token"
grows "binds are counted: handle" 'sessionfs_binds_total{scope="handle"}' 2 h=bind handle "$T/alice.token" : bind @h "$T/alice.token"
grows "refused binds are counted" sessionfs_binds_refused_total 1 bind thread "$T/forged.token"
grows "ended bindings are counted" sessionfs_unbinds_total 2 c=bind thread "$T/alice.token" : unbind @c : bind @c "$T/alice.token"
grows "a token seen before is not verified again" sessionfs_token_cache_hits_total 2 c=bind thread "$T/alice.token" : bind @c "$T/alice.token"

# gauge CLAIM NAME IDLE BY WORDS…: from IDLE on, how much more it is while the driver holds what the words make. Root reads it,
# in slot 9, until it is so: the kernel tells of a last close when it likes.
gauge() {
	local claim=$1 name=$2 idle=$3 by=$4
	shift 4
	cat >"$T/read" <<END
#!/bin/sh
awk -v n='$name' 'index(\$0, n " ") == 1 { print \$NF; found = 1 } END { if (!found) print 0 }' $MNT/.sessionfs/metrics
END
	chmod 755 "$T/read"
	is "$claim" "$(fst must fork 9 : until "$idle" run "$T/read" : must become 1000:1000 : "$@" : until $((idle + by)) in 9 run "$T/read")" \
		"$idle"$'\n'"$((idle + by))"
}
gauge "live bindings: a thread's" 'sessionfs_bindings{scope="thread"}' 0 1 must bind thread "$T/alice.token" : must h=bind handle "$T/bob.token"
gauge "a process's" 'sessionfs_bindings{scope="process"}' 0 1 must bind process "$T/alice.token"
gauge "a handle's" 'sessionfs_bindings{scope="handle"}' 0 2 must g=bind handle "$T/alice.token" : must h=bind handle "$T/bob.token"
gauge "open files" sessionfs_open_files 0 3 must bind thread "$T/alice.token" : must f=open "$A/f" O_RDONLY : must g=open "$A/g" O_RDWR
unheld() { [[ $(metrics | grep -c '^sessionfs_bindings{.*} 0$') = 3 ]]; }
is "no binding is left when their holders are gone" "$(await unheld; metrics | grep -c '^sessionfs_bindings{.*} 0$')" 3

# -- what the mount is -------------------------------------------------------------------------------------------------

is "the version" "$(metrics | grep '^sessionfs_build_info')" "sessionfs_build_info{version=\"$("$BUILD/sessionfs" --version | awk '{ print $2 }')\"} 1"
is "the store" "$(metrics | grep '^sessionfs_store_info')" \
	"sessionfs_store_info{path=\"$T/store\",uuid=\"$(awk '$1 == "uuid" { print $2 }' "$T/store/FORMAT")\"} 1"
age=$(($(date +%s) - $(value sessionfs_start_time_seconds)))
ok "when it was started" [ "$age" -ge 0 -a "$age" -le "$LIMIT" ]
recent() { [[ $(($(date +%s) - $(value sessionfs_reaper_last_run_timestamp_seconds))) -le 2 ]]; }
ok "when the reaper was there last" await recent
is "whether reads go straight to the store" "$(value sessionfs_passthrough)" \
	"$(python3 -c 'import json, sys; print(int(json.load(sys.stdin)["features"]["passthrough"]))' <"$MNT/.sessionfs/version")"

before=$(value sessionfs_trash_removed_total)
token carol carol carol-1
fst must bind thread "$T/carol.token" : must mkdir "$MNT/carol-1/d" : must put "$MNT/carol-1/d/f" text >/dev/null
echo "drop carol-1" >"$MNT/.sessionfs/admin"
removed() { [[ $(($(value sessionfs_trash_removed_total) - before)) = 6 ]]; }
ok "what is deleted of a dropped session is counted: d/f, d, data, meta.json, revoked, and its directory" await removed

# The process keeps its descriptor when its thread ends, so nothing is closed.
before=$(value sessionfs_reaped_bindings_total)
cat >"$T/thread" <<'END'
import os, sys, threading
mount, token = sys.argv[1:]
fd = os.open(f"{mount}/.sessionfs/thread", os.O_RDWR | os.O_CLOEXEC)
thread = threading.Thread(target=lambda: os.write(fd, f"bind {open(token).read().strip()}\n".encode()))
thread.start()
thread.join()
print("ended", flush=True)
sys.stdin.read()
END
coproc THREAD { exec python3 "$T/thread" "$MNT" "$T/alice.token"; }
read -r -t 20 said <&"${THREAD[0]}"
reaped() { [[ $(($(value sessionfs_reaped_bindings_total) - before)) = 1 ]]; }
ok "a binding whose thread is gone is reaped, and counted" await reaped
eval "exec ${THREAD[1]}>&-"
wait "$THREAD_PID"

is "no store has failed" "$(value sessionfs_store_errors_total)" 0
token dora dora dora-1
mv "$T/store/sessions" "$T/store/away"
: >"$T/store/sessions"
grows "a store that fails is a reason" "$(by store)" 1 bind thread "$T/dora.token"
ok "and is counted" [ "$(value sessionfs_store_errors_total)" -ge 1 ]
rm "$T/store/sessions"
mv "$T/store/away" "$T/store/sessions"

# -- how long requests take --------------------------------------------------------------------------------------------

is "an operation that never came has no histogram" "$(metrics | grep -c '^sessionfs_request_seconds_.*op="link"')" 0
grows "each request is in one" 'sessionfs_request_seconds_count{op="mkdir"}' 2 "${bound[@]}" mkdir "$A/d4" : mkdir "$A/d5"
grows "a refused one too" 'sessionfs_request_seconds_count{op="setattr"}' 1 "${bound[@]}" chmod "$MNT" 0700
grows "in its last bucket in any case" 'sessionfs_request_seconds_bucket{op="mkdir",le="+Inf"}' 1 "${bound[@]}" mkdir "$A/d7"
is "there are as many as there were requests" "$(metrics | awk '
	/^sessionfs_requests_total{op="mkdir"}/ { n += $2 } /^sessionfs_request_seconds_count{op="mkdir"}/ { n -= $2 } END { print n }')" 0
is "in a time that is possible" "$(metrics | awk -v limit="$LIMIT" '/^sessionfs_request_seconds_sum{op="mkdir"}/ { print ($2 > 0 && $2 < limit) }')" 1
is "and the text is Prometheus' still" "$(metrics | strict)" ""

# -- requests for each operation ------------------------------------------------------------------------------------------
# RELEASE and FORGET apart, as they come when the kernel likes.

cat >"$T/requests" <<END
#!/bin/sh
awk '/^sessionfs_requests_total/ && !/"(release|releasedir|forget)"/ { n += \$NF } END { print n }' $MNT/.sessionfs/metrics
END
chmod 755 "$T/requests"

# costs CLAIM WANT WORDS…: requests that the words take, once their names are known. Reading the metrics costs some too.
costs() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst must fork 9 : must in 9 run "$T/requests" : "${bound[@]}" must put "$A/f" content : must put "$A/g" content : must stat "$A/f" : must stat "$A/g" \
		: in 9 run "$T/requests" : in 9 run "$T/requests" : "$@" : in 9 run "$T/requests" | grep -E '^[0-9]{2,}$')
	read -r -d '' one two three <<<"$(printf '%s ' $got) "
	is "$claim: requests" "$((three - two - (two - one)))" "$want"
}
costs "stat" 1 stat "$A/f" size
costs "open, read, close" 1 get "$A/f"
costs "create, write, close" 3 put "$A/new" text
costs "unlink" 1 unlink "$A/g"
costs "rename" 2 rename "$A/f" "$A/f2"
costs "four writes on an open file" 5 must f=open "$A/f" O_WRONLY : must write @f 1 : must write @f 2 : must write @f 3 : must write @f 4
costs "open(O_TRUNC), write, close" 2 must put "$A/f" short
finish
