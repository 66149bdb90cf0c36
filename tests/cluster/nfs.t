#!/bin/bash
# SPDX-License-Identifier: MIT
# Two instances over a store on NFSv4.1, each in a kernel of its own: two User-Mode-Linux guests, booted from this host's own
# root, and an nfs-ganesha that they reach over a bridge. The workload of both, and then the server is killed and started again
# while it goes on. The guests' kernel is 6.1: no passthrough, and threads are pinned through /proc.
PATIENCE=${PATIENCE:-600}
. "${0%/*}/cluster.sh"

ENGINE=$ROOT/build/nfs
LIBS=$ENGINE/usr/lib/$(uname -m)-linux-gnu
export PATH=/usr/sbin:/sbin:$PATH
[[ -x $ENGINE/usr/bin/linux.uml && -x $ENGINE/usr/bin/ganesha.nfsd ]] && command -v ip >/dev/null ||
	bail "User-Mode Linux, nfs-ganesha or iproute2 is missing: make test-nfs gets them"

SERVER=10.78.0.1
# lookupcache=none: the client asks the server for each name. With less, names that another host renamed away stay.
CLIENT_OPTIONS=${CLIENT_OPTIONS:-vers=4.1,hard,lookupcache=none}

# ---- the server ----

network() {
	ip link set lo up
	ip link add br0 type bridge && ip addr add $SERVER/24 dev br0 && ip link set br0 up || bail "no bridge"
	for i in 1 2; do
		ip tuntap add "tap$i" mode tap && ip link set "tap$i" master br0 up || bail "no tap device: is there a /dev/net/tun?"
	done
}

server() {
	mkdir -p "$T/export" "$T/recovery"
	cat >"$T/ganesha.conf" <<-END
		NFS_CORE_PARAM { Protocols = 4; NFS_Port = 2049; Bind_addr = $SERVER; Enable_NLM = false; Enable_RQUOTA = false;
			Enable_UDP = false; Plugins_Dir = "$LIBS/ganesha"; }
		NFSV4 { Minor_Versions = 1; Grace_Period = 6; Lease_Lifetime = 5; RecoveryBackend = fs; RecoveryRoot = "$T/recovery";
			UseGetpwnam = true; Only_Numeric_Owners = true; }
		EXPORT { Export_Id = 1; Path = "$T/export"; Pseudo = /store; Access_Type = RW; Squash = No_Root_Squash; SecType = sys;
			Protocols = 4; FSAL { Name = VFS; } }
	END
	LD_LIBRARY_PATH=$LIBS:$ENGINE/usr/lib/ganesha "$ENGINE/usr/bin/ganesha.nfsd" -F -f "$T/ganesha.conf" -L "$T/ganesha.log" \
		-p "$T/ganesha.pid" -N EVENT >"$T/ganesha.out" 2>&1 &
	GANESHA=$!
}
listens() { (: <>"/dev/tcp/$SERVER/2049") 2>/dev/null; }

# ---- the guests ----

declare -a MOUNTS=("" /tmp/mnt /tmp/mnt) INPUT UML

# A guest runs what it is told by number on its console, each in the background, and leaves output and status beside.
guest_init() {
	local n=$1
	cat <<-END
		#!/bin/bash
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp
		mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs -o mode=1777 tmp /tmp; mount -t tmpfs run /run
		mount -t hostfs -o '$T' none '$T'
		stty raw -echo
		hostname guest$n
		ln -s '$ENGINE/bin/kmod' /run/modprobe
		/run/modprobe -d '$T/modules' nfsv4 && /run/modprobe -d '$T/modules' fuse || echo no modules >'$T/guest$n/failed'
		ip link set lo up; ip addr add 10.78.0.1$n/24 dev vec0; ip link set vec0 up
		mkdir /tmp/nfs /tmp/mnt
		: >'$T/guest$n/up'
		while read -r job; do
			( cd /; . '$T/guest$n/'"\$job.sh" >'$T/guest$n/'"\$job.out" 2>&1 </dev/null; echo \$? >'$T/guest$n/'"\$job.new"
			  mv '$T/guest$n/'"\$job.new" '$T/guest$n/'"\$job.rc" ) &
		done
	END
}

# A guest's registers are handed on up to AVX (xstate.c): its C library must use nothing above it.
UML_WORDS="GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD"

guest() {
	local n=$1
	mkdir "$T/guest$n"
	guest_init "$n" >"$T/init$n"
	chmod 755 "$T/init$n"
	mkfifo "$T/console$n"
	exec {INPUT[$n]}<>"$T/console$n"
	HOME=$T LD_PRELOAD=$BUILD/tests/cluster/xstate.so "$ENGINE/usr/bin/linux.uml" mem=512M $UML_WORDS root=/dev/root \
		rootfstype=hostfs rootflags=/ ro init="$T/init$n" "vec0:transport=tap,ifname=tap$n,depth=64,gro=1" \
		con0=fd:0,fd:1 con=null quiet <"$T/console$n" >"$T/guest$n.log" 2>&1 &
	UML[n]=$!
}
guest_up() { [[ -e $T/guest$1/up ]]; }
guest_bail() { diag "$(tail -n 20 "$T/guest$1.log")"; bail "guest $1: $2"; }

on() {
	local n=$1 job=job-$BASHPID-$RANDOM$RANDOM dir status
	dir=$T/guest$n
	shift
	printf '%q ' "$@" >"$dir/$job.sh"
	printf '%s\n' "$job" >&"${INPUT[n]}"
	until [[ -e $dir/$job.rc ]]; do
		gone "${UML[n]}" && { echo "guest $n has died"; return 1; }
		sleep 0.02
	done
	cat "$dir/$job.out"
	status=$(<"$dir/$job.rc")
	rm -f "$dir/$job".*
	return "$status"
}
alive() { local n; for n in 1 2; do on $n test -e /tmp/mnt/.sessionfs/self || return 1; done; }

instance() {
	local n=$1 out
	out=$(on "$n" "$BUILD/sessionfs" -c "$T/conf" -o "files.cache=shared,limits.session_bytes=$SESSION_BYTES,audit.to=/tmp/audit" /tmp/nfs/store /tmp/mnt) ||
		guest_bail "$n" "no instance: $out"
	diag "guest $n: ${out#sessionfs: }"
}

# ---- ----

network
server
mkdir -p "$T/modules/lib/modules"
for kernel in "$ENGINE"/usr/lib/uml/modules/*; do ln -s "$kernel" "$T/modules/lib/modules/"; done
guest 1
guest 2
await listens || bail "the server does not come up: $(tail -n 5 "$T/ganesha.log")"
for n in 1 2; do
	await guest_up $n || guest_bail $n "does not come up"
	out=$(on $n mount -i -t nfs4 -o "$CLIENT_OPTIONS,addr=$SERVER,clientaddr=10.78.0.1$n" $SERVER:/store /tmp/nfs) || guest_bail $n "$out"
done
diag "Linux $(on 1 uname -r), $(on 1 sh -c 'grep " /tmp/nfs " /proc/mounts')"
on 1 mkdir -m 700 /tmp/nfs/store

workload_tokens
instance 1
instance 2
ROUNDS=${ROUNDS:-15}
workload

# ---- the server dies, under load through both instances, everything acknowledged (fsync), and comes back ----

HAMMER_SESSIONS="1 2 3 4" hammer_start failing.1 1 threads -z -s 1 -t 20 -f &
first=$!
HAMMER_SESSIONS="5 6 7 8" hammer_start failing.2 2 threads -z -s 2 -t 20 -f &
second=$!
sleep 5
kill -KILL "$GANESHA"
wait "$GANESHA" 2>/dev/null
sleep 2
# There is no server until they have answered, so an answer is proof that nothing in the store was waited for.
began=$(date +%s%N)
answers=$(for n in 1 2; do on $n timeout 60 cat /tmp/mnt/.sessionfs/metrics /tmp/mnt/.sessionfs/self >/dev/null; echo $?; done)
answered=$((($(date +%s%N) - began) / 1000000))
server
wait $first
wait $second
hammer_claims failing.1 "the server killed and started again, first"
hammer_claims failing.2 "the server killed and started again, second"
is "the control files answer while there is no server" "$(words "$answers")" "0 0"
diag "they took $answered ms"
alive && pass "both instances live" || fail "both instances live"
same_contents "after the server was killed"
files() { find . -type f -path '*/data/*' ! -name '.nfs*' -exec sha256sum {} + | sort; }
is "what the server has is what the instances show" "$(on 1 bash -c "$(declare -f files); cd /tmp/nfs/store/sessions && files" | md5sum)" \
	"$(cd "$T/export/store/sessions" && files | md5sum)"

for n in 1 2; do
	is "instance $n ends when it is unmounted" "$(on $n umount /tmp/mnt; on $n sh -c 'i=0; while pidof sessionfs >/dev/null && [ $i -lt 200 ]; do sleep 0.1; i=$((i + 1)); done; pidof sessionfs')" ""
	is "guest $n has nothing to complain of" "$(on $n sh -c 'dmesg | grep -E "BUG|Oops|WARNING|blocked for more"')" ""
done
finish
