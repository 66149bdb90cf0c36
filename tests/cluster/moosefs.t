#!/bin/bash
# SPDX-License-Identifier: MIT
# Two instances over a store on MooseFS: three chunkservers, goal 2, each instance with a client mount of its own. The
# workload of both, and then one chunkserver after the other fails while it goes on.
#
# The cluster is in namespaces: a bridge with the master, a network namespace for each chunkserver, a tmpfs for their disks.
PATIENCE=${PATIENCE:-300}
. "${0%/*}/cluster.sh"

ENGINE=$ROOT/build/cluster
export PATH=$ENGINE/usr/sbin:$ENGINE/usr/bin:$ENGINE/sbin:/usr/sbin:/sbin:$PATH
export LD_LIBRARY_PATH=$ENGINE/usr/lib/$(uname -m)-linux-gnu
command -v mfsmaster mfschunkserver mfsmount mfscli ip >/dev/null || bail "MooseFS or iproute2 is missing: make test-cluster gets them"

MASTER=10.77.0.1
# The client keeps no names and no attributes: what it kept the daemon could not see through.
CLIENT_OPTIONS=mfsattrcacheto=0,mfsentrycacheto=0,mfsdirentrycacheto=0,mfsnegentrycacheto=0,mfsxattrcacheto=0

# ---- the cluster ----

network() {
	ip link set lo up
	ip link add br0 type bridge && ip addr add $MASTER/24 dev br0 && ip link set br0 up || bail "no bridge"
}

master() {
	mkdir "$T/master"
	cp "$(metadata_file)" "$T/master/metadata.mfs"
	echo '* / rw,alldirs,maproot=0' >"$T/exports.cfg"
	cat >"$T/master.cfg" <<-END
		WORKING_USER = root
		WORKING_GROUP = root
		DATA_PATH = $T/master
		EXPORTS_FILENAME = $T/exports.cfg
		MATOML_LISTEN_HOST = $MASTER
		MATOCS_LISTEN_HOST = $MASTER
		MATOCL_LISTEN_HOST = $MASTER
		REPLICATIONS_DELAY_INIT = 1
		CHUNKS_LOOP_MIN_TIME = 1
		CHUNKS_WRITE_REP_LIMIT = 10,10,10,10
		CHUNKS_READ_REP_LIMIT = 20,20,20,20
	END
	mfsmaster -c "$T/master.cfg" -f start >"$T/master.log" 2>&1 &
}
metadata_file() { local f; for f in "$ENGINE/var/lib/mfs/metadata.mfs.empty" /var/lib/mfs/metadata.mfs.empty; do [[ -e $f ]] && echo "$f" && return; done; }

declare -a CHUNK_NS CHUNK_PID
chunk_host() {
	local i=$1
	unshare --net sleep infinity &
	CHUNK_NS[i]=$!
	await other_net "${CHUNK_NS[i]}" || bail "no network namespace"
	ip link add "v$i" type veth peer name eth0 netns "${CHUNK_NS[i]}" && ip link set "v$i" master br0 up || bail "no veth"
	nsenter -t "${CHUNK_NS[i]}" -n sh -c "ip link set lo up; ip addr add 10.77.0.1$i/24 dev eth0; ip link set eth0 up"
	mkdir "$T/chunk$i" "$T/disk$i"
	echo "$T/disk$i" >"$T/disks$i.cfg"
	cat >"$T/chunk$i.cfg" <<-END
		WORKING_USER = root
		WORKING_GROUP = root
		DATA_PATH = $T/chunk$i
		HDD_CONF_FILENAME = $T/disks$i.cfg
		HDD_LEAVE_SPACE_DEFAULT = 1M
		MASTER_HOST = $MASTER
		MASTER_RECONNECTION_DELAY = 1
	END
}
other_net() { [[ $(readlink "/proc/$1/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }
chunk_server() {
	nsenter -t "${CHUNK_NS[$1]}" -n mfschunkserver -c "$T/chunk$1.cfg" -f start >>"$T/chunk$1.log" 2>&1 &
	CHUNK_PID[$1]=$!
}

# The chunkservers that the master has, and whether all chunks have their two valid copies.
servers() { mfscli -H $MASTER -p -SCS 2>/dev/null | grep -c '^chunk servers:'; }
master_answers() { mfscli -H $MASTER -p -SIN >/dev/null 2>&1; }
has_servers() { [[ $(servers) = "$1" ]]; }
healthy() { [[ $(mfscli -H $MASTER -p -SIC 2>/dev/null | sed -n 's/.*\(missing\|endangered\|undergoal\):[^0-9]*//p' | grep -c '[1-9]') = 0 ]]; }

client() {
	mkdir "$T/m$1"
	mfsmount -H $MASTER -o "$CLIENT_OPTIONS" "$T/m$1" >"$T/client$1.log" 2>&1
}

# ---- two instances, each on a client of its own ----

declare -a MOUNTS INSTANCES
instance() {
	MOUNTS[$1]=$T/mnt$1
	mkdir -p "$T/mnt$1"
	start -c "$T/conf" -o "files.cache=shared,limits.session_bytes=$SESSION_BYTES,audit.to=$T/audit$1" "$T/m$1/store" "$T/mnt$1" || bail "instance $1 does not start"
	INSTANCES[$1]=$(daemon_of "$T/m$1/store" "$T/mnt$1")
	[[ ${INSTANCES[$1]} ]] || bail "instance $1 does not run"
}
alive() { ! gone "${INSTANCES[1]}" && ! gone "${INSTANCES[2]}"; }
on() { shift; "$@"; }

network
began=$(date +%s%N)
master
await master_answers || bail "the master does not come up: $(<"$T/master.log")"
for i in 1 2 3; do chunk_host $i; chunk_server $i; done
await has_servers 3 || bail "the chunkservers do not come up"
client 1 && client 2 || bail "$(<"$T/client1.log")"
mfssetgoal -r 2 "$T/m1" >/dev/null || bail "no goal"
diag "MooseFS $(mfsmaster -v 2>&1 | awk '{ print $2; exit }') is up after $((($(date +%s%N) - began) / 1000000)) ms"

mkdir -m 700 "$T/m1/store"
workload_tokens
instance 1
instance 2
workload

# Each operation through any one of the two instances: what was left through one is what is found through the other.
hammer_start across 1 threads -r 60 -a "${MOUNTS[2]}"
hammer_claims across "through either instance"
hammer_start across 1 handles -r 30 -a "${MOUNTS[2]}"
hammer_claims across "through either instance"

# ---- a chunkserver fails: under load, through both instances, everything acknowledged (fsync) ----

# fails CLAIM SECONDS FUNCTION: runs it some seconds into the load.
fails() {
	local claim=$1 load
	await healthy || diag "before '$claim' there were chunks with one copy"
	hammer_start failing 1 threads -t "$2" -f -a "${MOUNTS[2]}" &
	load=$!
	sleep 3
	"$3"
	wait $load
	hammer_claims failing "$claim"
	alive || bail "an instance has died"
}

kill_one() {
	kill -KILL "${CHUNK_PID[1]}"
	wait "${CHUNK_PID[1]}" 2>/dev/null
}
# The master does not notice for a while, and who is writing waits. Who asks the daemon itself must not.
cut_one() {
	local began
	ip link set v3 down
	sleep 2
	began=$(date +%s%N)
	cat "${MOUNTS[1]}"/.sessionfs/{metrics,self} "${MOUNTS[2]}"/.sessionfs/{metrics,self} >/dev/null
	ANSWERED=$((($(date +%s%N) - began) / 1000000))
}

fails "one chunkserver killed" 10 kill_one
is "with one killed two are left" "$(servers)" 2
same_contents "with one killed"
chunk_server 1
await has_servers 3 || fail "it comes back"

fails "one chunkserver cut off silently" 25 cut_one
is "the control files answer while the store stalls" "$((ANSWERED < 8000))" 1 # a client waits for ten seconds at least
diag "they took $ANSWERED ms"
is "with one cut off two are left" "$(await has_servers 2; servers)" 2
same_contents "with one cut off"

# What a client sees that was not there before, and an instance of its own on it: nothing can come from a cache.
client 3 || bail "$(<"$T/client3.log")"
is "the store is the same for a client that comes now" \
	"$(cd "$T/m3/store/sessions" && find . -type f -path '*/data/*' -exec sha256sum {} + | sort)" \
	"$(cd "$T/m1/store/sessions" && find . -type f -path '*/data/*' -exec sha256sum {} + | sort)"
before=$(contents 1)
instance 3
is "and so is what an instance shows that starts now" "$(contents 3)" "$before"
ip link set v3 up
await has_servers 3 || fail "the one that was cut off comes back"

for i in 1 2 3; do
	umount "$T/mnt$i"
	await gone "${INSTANCES[i]}" || fail "instance $i ends when it is unmounted"
done
kill -KILL "${CHUNK_PID[@]}" # or they go on filling what is about to be removed
finish
