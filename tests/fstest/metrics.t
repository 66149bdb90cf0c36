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

is "the text is Prometheus'" "$(metrics | grep -cvE '^(# (HELP|TYPE) sessionfs_[a-z_]+ .+|sessionfs_[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9]+(\.[0-9]+)?)$')" 0
is "no metric is there twice" "$(metrics | grep -v '^#' | sed 's/ [^ ]*$//' | sort | uniq -d)" ""
is "each metric has its type" "$(metrics | sed -n 's/^\(sessionfs_[a-z_]*\).*/\1/p' | sort -u | while read -r m; do
	metrics | grep -q "^# TYPE $m \(counter\|gauge\)$" || echo "$m"; done)" ""

bound=(must bind thread "$T/alice.token" :)
is "a file to work on" "$(fst -u 1000:1000 "${bound[@]}" put "$A/f" content : put "$A/g" content)" $'0\n0'
grows "mkdir is counted" 'sessionfs_requests_total{op="mkdir"}' 3 "${bound[@]}" mkdir "$A/d1" : mkdir "$A/d2" : mkdir "$A/d3"
grows "written bytes are counted" sessionfs_written_bytes_total 12 "${bound[@]}" must f=open "$A/f" O_WRONLY : write @f 12345 : write @f 1234567
grows "a refused operation is counted by its errno" 'sessionfs_refusals_total{errno="EACCES"}' 2 "${bound[@]}" stat "$MNT/bob-1" : stat "$MNT/bob-1"
grows "an unbound caller's too" 'sessionfs_refusals_total{errno="ENOKEY"}' 1 stat "$A"
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
gauge "live bindings" sessionfs_bindings 0 2 must bind thread "$T/alice.token" : must h=bind handle "$T/bob.token"
gauge "open files" sessionfs_open_files 0 3 must bind thread "$T/alice.token" : must f=open "$A/f" O_RDONLY : must g=open "$A/g" O_RDWR
is "no binding is left when their holders are gone" "$(await eval '[[ $(value sessionfs_bindings) = 0 ]]'; value sessionfs_bindings)" 0

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
