# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# Every operation against one caller: two tables, and what runs them. In the tables
#
#     P    a directory of the session that is reached for, Q one of the caller's own
#     own  what the operation gives its owner, when the rows are made in order
#     live what it gives anybody else where the kernel holds the names and answers by itself; REFUSED is the refusal,
#          and nothing means that
#
# The directory has f and g (files), d with d/inner, e (empty), l (a link to f), p (a fifo), m (for mounts).

. "${BASH_SOURCE[0]%/*}/lib.sh"

# claim | operation | own | live
by_path='
stat                                       |stat P/f size                          |7
stat of the directory                      |stat P/. type                          |dir
stat of a name that is not there           |stat P/nothing                         |ENOENT
lstat                                      |lstat P/l type                         |link
statx                                      |statx P/f size                         |7
access                                     |access P/f r                           |0
access F_OK                                |access P/f f                           |0
statfs                                     |statfs P/f                             |0
readlink                                   |readlink P/l                           |f
chdir                                      |chdir P/d                              |0
opendir                                    |open P/. O_DIRECTORY                   |0
readdir                                    |ls P/.                                 |d e f g l m p
readdir of a directory below               |ls P/d                                 |inner
open O_RDONLY                              |open P/f O_RDONLY                      |0
open O_RDWR                                |open P/f O_RDWR                        |0
open O_PATH, then stat                     |stat P/f/. type                        |ENOTDIR |ENOTDIR
open through a link                        |get P/l                                |content
open, read, close                          |get P/f                                |content
open of a fifo                             |open P/p O_RDONLY,O_NONBLOCK           |0
open O_CREAT of a file that is there       |open P/f O_RDWR,O_CREAT                |0
open O_CREAT,O_EXCL of a file that is there|open P/f O_RDWR,O_CREAT,O_EXCL         |EEXIST |EEXIST
create                                     |open P/new O_RDWR,O_CREAT,O_EXCL       |0
create, write, close                       |put P/new2 text                        |0
open O_TMPFILE                             |open P/. O_RDWR,O_TMPFILE              |0
open O_APPEND                              |open P/f O_WRONLY,O_APPEND             |0
chmod                                      |chmod P/f 0640                         |0
chmod of the directory                     |chmod P/. 0750                         |0
chown                                      |chown P/f -1 1000                      |0
truncate                                   |truncate P/f 3                         |0
open O_TRUNC                               |open P/f O_WRONLY,O_TRUNC              |0
utimensat                                  |utimens P/f 1.000000001 2.000000002    |0
mkdir                                      |mkdir P/newdir                         |0
mkdir of a directory that is there         |mkdir P/d                              |EEXIST |EEXIST
rmdir                                      |rmdir P/e                              |0
rmdir of a file                            |rmdir P/f                              |ENOTDIR |ENOTDIR
unlink of a directory                      |unlink P/d                             |EISDIR |EISDIR
mknod of a fifo                            |mknod P/fifo fifo                      |0
mknod of a file                            |mknod P/node file                      |0
mknod of a file that is there              |mknod P/f file                         |EEXIST |EEXIST
symlink                                    |symlink f P/newlink                    |0
symlink onto a file that is there          |symlink f P/f                          |EEXIST |EEXIST
link                                       |link P/f P/hard                        |0
link into the own directory                |link P/f Q/hard                        |0
link of an own file                        |link Q/f P/hard2                       |0
link onto a file that is there             |link Q/f P/f                           |EEXIST |EEXIST
rename                                     |rename P/new P/moved                   |0
rename of a file that is there             |rename P/f P/f2                        |0
rename into the own directory              |rename P/f2 Q/in                       |0
rename out of the own directory            |rename Q/g P/f                         |0
rename NOREPLACE onto a live name          |rename Q/f P/g NOREPLACE               |EEXIST |EEXIST
rename EXCHANGE                            |rename P/f P/g EXCHANGE                |0
rename onto a live name                    |rename Q/f P/g                         |0
rename of a directory                      |rename P/d Q/dir                       |0
rename of an own directory                 |rename Q/e P/moved-in                  |0
getxattr                                   |getxattr P/f user.x                    |EOPNOTSUPP |REFUSED|EOPNOTSUPP
setxattr                                   |setxattr P/f user.x v                  |EOPNOTSUPP |REFUSED|EOPNOTSUPP
listxattr                                  |listxattr P/f                          |EOPNOTSUPP |REFUSED|EOPNOTSUPP
removexattr                                |removexattr P/f user.x                 |EOPNOTSUPP |REFUSED|EOPNOTSUPP
unlink                                     |unlink P/f                             |0
unlink of a fifo                           |unlink P/p                             |0
'

# f was opened O_RDONLY, w O_RDWR, a O_WRONLY,O_APPEND, d is the directory; b is the caller's own, O_RDWR.
by_descriptor='
fstat                                      |stat @f size                           |7
fstat of a directory                       |stat @d type                           |dir
statx of a descriptor                      |statx @f size                          |7
access of a descriptor                     |access @f r                            |0
fstatfs                                    |statfs @f                              |0
read, opened O_RDWR                        |read @w 7                              |content
pread, opened O_RDWR                       |pread @w 7 0                           |content
lseek SEEK_END                             |lseek @f 0 END                         |7
lseek SEEK_DATA                            |lseek @w 0 DATA                        |0
lseek SEEK_HOLE                            |lseek @w 0 HOLE                        |7
copy_file_range out of it                  |copy_file_range @w @b 7                |7
copy_file_range out of it, opened O_RDONLY |copy_file_range @f @b 7                |7
sendfile out of it                         |sendfile @w @b 7                       |7
readdir of a held directory                |ls @d                                  |d e f g l m p
fchdir                                     |chdir @d                               |0
a second open through /proc/self/fd        |open @f O_RDWR                         |0
ioctl                                      |ioctl @w TCGETS                        |ENOTTY |REFUSED|ENOTTY
fgetxattr                                  |getxattr @f user.x                     |EOPNOTSUPP |REFUSED|EOPNOTSUPP
fsetxattr                                  |setxattr @f user.x v                   |EOPNOTSUPP |REFUSED|EOPNOTSUPP
flistxattr                                 |listxattr @f                           |EOPNOTSUPP |REFUSED|EOPNOTSUPP
write                                      |write @w overwritten                   |0
pwrite                                     |pwrite @w over 0                       |0
append                                     |write @a more                          |0
copy_file_range into it                    |copy_file_range @b @w 3                |3
sendfile into it                           |sendfile @b @w 3                       |3
fsync                                      |fsync @w                               |0
fdatasync                                  |fdatasync @w                           |0
fsyncdir                                   |fsync @d                               |0
fallocate                                  |fallocate @w extend 0 8192             |0
fallocate, a hole                          |fallocate @w punch 0 4096              |0
ftruncate                                  |truncate @w 3                          |0
fchmod                                     |chmod @f 0640                          |0
fchmod of a directory                      |chmod @d 0750                          |0
fchown                                     |chown @f -1 1000                       |0
futimens                                   |utimens @f 1.000000001 omit            |0
link of a held file                        |link @f Q/fromheld                     |0
'

# populate DIR…: what the tables work on, made behind the mount.
populate() {
	local dir
	for dir; do
		mkdir -p "$dir/d" "$dir/e" "$dir/m"
		printf content >"$dir/f"
		printf 'other 7' >"$dir/g"
		printf inner >"$dir/d/inner"
		ln -s f "$dir/l"
		mkfifo "$dir/p"
		chown -hR 1000:1000 "$dir"
	done
}

# claim NAME SUB: a session that exists, and nothing of which the kernel has heard.
claim() {
	token "$1" "$2" "$1"
	is "session $1 is made when it is bound" "$(fst -u 1000:1000 bind thread "$T/$1.token")" 0
	[[ -d $(data "$1") ]] || bail "no $(data "$1") after a bind"
}

# trial VARIANT TABLE P Q REFUSAL LIVE: makes the operations of a table as slot 2 of the driver, after the words in the
# array `prologue`. REFUSAL is `own` where there is none. LIVE is 1 where the kernel holds the names. Watches the store,
# and the owner in slot 1 with the words of `watch`, whose results in the array `unmoved` must stay.
prologue=() watch=() unmoved=()
trial() {
	local variant=$1 table=$2 P=$3 Q=$4 refusal=$5 live=$6
	local names=() wants=() words=() name op own other want w at i
	local -a op_words out

	while IFS='|' read -r name op own other; do
		[[ -n $name ]] || continue
		own=${own%"${own##*[! ]}"}
		names+=("${name%"${name##*[! ]}"}")
		if [[ $refusal = own ]]; then
			want=$own
		elif [[ $live = 1 && -n $other ]]; then
			want=${other/REFUSED/$refusal}
		else
			want=$refusal
		fi
		wants+=("$want")
		read -ra op_words <<<"$op"
		words+=(: in 2)
		for w in "${op_words[@]}"; do
			[[ $w == P/* ]] && w=$P/${w#P/}
			[[ $w == Q/* ]] && w=$Q/${w#Q/}
			words+=("$w")
		done
		[[ $refusal = own ]] || words+=(: run "$T/snapshot" "${watch[@]}")
	done <<<"$table"

	local before
	before=$("$T/snapshot")
	mapfile -t out < <(fst "${prologue[@]}" : run echo ready "${words[@]}")
	at=0
	while [[ $at -lt ${#out[@]} && ${out[at]} != ready ]]; do at=$((at + 1)); done
	if [[ $at -eq ${#out[@]} ]]; then
		fail "$variant: the fixture"
		diag "${out[@]}"
		return
	fi
	at=$((at + 1))
	for i in "${!names[@]}"; do
		is "$variant: ${names[i]}: ${wants[i]}" "${out[at]-nothing}" "${wants[i]}"
		at=$((at + 1))
		[[ $refusal = own ]] && continue
		is "$variant: ${names[i]}: nothing changed in the store" "${out[at]-nothing}" "$before"
		at=$((at + 1))
		[[ ${#unmoved[@]} = 0 ]] && continue
		is "$variant: ${names[i]}: the owner noticed nothing" "$(printf '%s\n' "${out[@]:at:${#unmoved[@]}}")" \
			"$(printf '%s\n' "${unmoved[@]}")"
		at=$((at + ${#unmoved[@]}))
	done
}

# The owner of a session, in slot 1: has its cwd in DIR/d, DIR/f open, and a tmpfs mounted on DIR/m (as root, in slot 3).
# Every name in DIR has been looked up: they are live.
owner() {
	local token=$T/$1.token dir=$2 name
	prologue=(fork 1 : must in 1 become 1000:1000 : must in 1 bind thread "$token" : must in 1 chdir "$dir/d"
		: must in 1 o=open "$dir/f" O_RDWR : must in 1 q=open "$dir/d" O_DIRECTORY
		: fork 3 : must in 3 bind thread "$token" : must in 3 mount tmpfs "$dir/m" : must in 3 put "$dir/m/marker" below)
	for name in f g d d/inner e l p; do prologue+=(: must in 1 lstat "$dir/$name"); done
	watch=(: in 1 getcwd : in 1 pread @o 7 0 : in 1 ls @q : in 1 get "$dir/m/marker" : in 1 stat "$dir/f" size)
	unmoved=("$dir/d" content inner below 7)
}

# Slot 2 is a caller of its own.
caller() { prologue+=(: fork 2 : must in 2 become 1000:1000); }

# Slot 2 is bound, and opens what the second table holds. $c is its control descriptor.
holds() {
	local token=$T/$1.token dir=$2
	prologue+=(: must in 2 c=bind thread "$token" : must in 2 d=open "$dir" O_DIRECTORY : must in 2 f=open "$dir/f" O_RDONLY
		: must in 2 w=open "$dir/f" O_RDWR : must in 2 a=open "$dir/f" 'O_WRONLY,O_APPEND')
}
