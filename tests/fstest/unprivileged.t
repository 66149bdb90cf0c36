#!/bin/bash
# SPDX-License-Identifier: MIT
# A daemon of an ordinary user's, mounted through fusermount3, for his own application.

# /dev/fuse is everybody's on most systems. Where it is not, this script has one of its own, in a mount namespace.
if [[ $(id -u) = 0 && $(stat -c %a /dev/fuse) != 666 && ! ${OWN_DEVICE-} ]]; then
	OWN_DEVICE=1 exec unshare -m --propagation private "$0" "$@"
fi
. "${0%/*}/lib.sh"

command -v fusermount3 >/dev/null || bail "there is no fusermount3: install the package fuse3"
[[ -u $(readlink -f "$(command -v fusermount3)") ]] || skip_all "fusermount3 is not set-user-id here"
if [[ ${OWN_DEVICE-} ]]; then
	mknod -m 666 "$T/fuse" c 10 229 && mount --bind "$T/fuse" /dev/fuse || bail "no /dev/fuse for users"
fi
# fusermount3 wants a user with a name.
U=1000
getent passwd $U >/dev/null || U=65534
# The build may lie where an ordinary user can't go.
mkdir "$T/bin"
cp "$BUILD/sessionfs" "$FSTEST" "$T/bin/"
FSTEST=$T/bin/${FSTEST##*/}
chown -R "$U:$U" "$T/store" "$MNT" "$T/keys.d"
chmod 755 "$T/keys.d"
AUDIT=$T/home/audit
mkdir "$T/home"
chown "$U:$U" "$T/home"
sed -i "s|^to = .*|to = $AUDIT|" "$T/conf"
user() { setpriv --reuid "$U" --regid "$U" --clear-groups "$@"; }
# A process that was root before is not the user's to look into: the driver is started as the user.
mine() { user timeout -k 5 100 "$FSTEST" -m "$MNT" "$@" 2>&1; }
token alice alice alice-1
token bob bob bob-1
forged forged alice alice-1
A=$MNT/alice-1 B=$MNT/bob-1

user timeout 30 "$T/bin/sessionfs" -c "$T/conf" "$T/store" "$MNT" >"$T/log" 2>&1 </dev/null
is "it starts" $? 0
mounted || { sed 's/^/# /' "$T/log"; bail "it does not mount"; }
DAEMON=$(daemon_of "$T/store" "$MNT")
is "it runs as the user" "$(stat -c %u "/proc/$DAEMON")" "$U"
like "and says that it can not switch users" "$(<"$T/log")" '*not root*'
says_of_io() { grep -q "io: " "$T/log"; } # at the first request of the kernel, which may come after the mount
await says_of_io
like "and that there is no passthrough" "$(<"$T/log")" '*passthrough*'
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(mine "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}
says "the unbound are refused" ENOKEY stat "$A"
says "a bound thread writes, reads, lists, renames and removes" "0 text a f 0 0 (empty)" must bind thread "$T/alice.token" \
	: put "$A/f" text : get "$A/f" : must mkdir "$A/a" : ls "$A" : rename "$A/f" "$A/a/g" : unlink "$A/a/g" : ls "$A/a"
says "a handle works" "0 text" must bind handle "$T/alice.token" : put "$MNT/%h/f" text : get "$MNT/%h/f"
says "a process binding works" "text" must bind process "$T/alice.token" : must fork 1 : in 1 get "$A/f"
says "another session is refused, by path and by descriptors" "EACCES EACCES EACCES EACCES" \
	must c=bind thread "$T/alice.token" : must d=open "$A" O_DIRECTORY : must w=open "$A/f" O_RDWR : must bind @c "$T/bob.token" \
	: get "$A/f" : get @d/f : pread @w 4 0 : pwrite @w x 0
says "the unbound are refused on held descriptors" "ENOKEY ENOKEY" \
	must c=bind thread "$T/alice.token" : must w=open "$A/f" O_RDWR : must unbind @c : pread @w 4 0 : stat @w
says "a file can be mapped" text must bind thread "$T/alice.token" : must f=open "$A/f" O_RDONLY : mmap @f r 0 4
says "a forged token is refused" EKEYREJECTED bind thread "$T/forged.token"
unlike "another user does not get in" "$(fst -u 2000:2000 bind thread "$T/alice.token")" 0
unlike "not even root" "$(fst bind thread "$T/alice.token")" 0
user fusermount3 -u "$MNT"
is "the user unmounts it" $? 0
ok "and the daemon ends" await gone "$DAEMON"
DAEMON=
is "the files are the user's" "$(stat -c %u:%g "$(data alice-1)/f")" "$U:$U"

user timeout 30 "$T/bin/sessionfs" -c "$T/conf" "$T/store" "$MNT" >"$T/log" 2>&1 </dev/null
DAEMON=$(daemon_of "$T/store" "$MNT")
kill -TERM "$DAEMON"
ok "told to stop it ends" await gone "$DAEMON"
ok "and unmounts" eval '! mounted'
DAEMON=
finish
