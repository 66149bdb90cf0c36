#!/bin/bash
# SPDX-License-Identifier: MIT
# Files behave as files do.
. "${0%/*}/lib.sh"

token alice alice alice-1
A=$MNT/alice-1

as() { local who=$1; shift; fst -u "$who" must bind process "$T/alice.token" : "$@"; }
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(as 1000:1000 "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}
# others CLAIM WANT WHO WORDS…: as another user of the same session.
others() {
	local claim=$1 want=$2 who=$3 got
	shift 3
	got=$(as "$who" "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

# -- the mount -------------------------------------------------------------------------------------------------------
flags() { awk -v m="$MNT" '$2 == m { print $4 }' /proc/self/mounts; }
up mount.exec=yes
unlike "exec = yes is honoured" ",$(flags)," "*,noexec,*"
says "where exec = yes a program there runs" "0 ran" put "$A/script" $'#!/bin/sh\necho ran\n' 0755 : run "$A/script"
down
up
for flag in nosuid nodev noexec; do like "by default the mount is $flag" ",$(flags)," "*,$flag,*"; done
says "by default a program there does not run" "exit 127" run "$A/script"
like "the mount says what it is" "$(awk -v m="$MNT" '$2 == m { print $3 }' /proc/self/mounts)" 'fuse.sessionfs'

# -- bytes --------------------------------------------------------------------------------------------------------------
says "what is written is read" "0 hello" put "$A/f" hello : get "$A/f"
is "and is in the store" "$(cat "$(data alice-1)/f")" hello
says "writing at a place leaves the rest" "0 heLLo" must f=open "$A/f" O_RDWR : pwrite @f LL 2 : get "$A/f"
says "reading past the end gives nothing" "(end)" must f=open "$A/f" O_RDONLY : pread @f 10 100
says "O_TRUNC empties, O_CREAT alone does not" "0 heLLo 0 (end)" \
	open "$A/f" O_RDWR,O_CREAT : get "$A/f" : open "$A/f" O_RDWR,O_TRUNC : get "$A/f"
says "several megabytes are written and read" "3145728 0 0 3145728" must f=open "$A/big" O_WRONLY,O_CREAT,O_TRUNC \
	: fill @f 64K 3M : verify "$A/big" 3M : stat "$A/big" size
says "in odd pieces too" "1000003 0 0" must f=open "$A/odd" O_WRONLY,O_CREAT,O_TRUNC : fill @f 1000003 1000003 : verify "$A/odd" 1000003
says "a reader sees at once what a writer writes" "0 one 0 two" must w=open "$A/live" O_RDWR,O_CREAT,O_TRUNC \
	: must r=open "$A/live" O_RDONLY : write @w one : pread @r 3 0 : pwrite @w two 0 : pread @r 3 0
says "two who append lose nothing" "0 0 0 0 a1b1a2b2" must a=open "$A/log" O_WRONLY,O_CREAT,O_TRUNC,O_APPEND \
	: must fork 1 : must in 1 b=open "$A/log" O_WRONLY,O_APPEND : write @a a1 : in 1 write @b b1 : write @a a2 : in 1 write @b b2 : get "$A/log"
says "an appender follows a writer that goes on past it" "0 0 12345678end" must w=open "$A/log2" O_WRONLY,O_CREAT,O_TRUNC \
	: must a=open "$A/log2" O_WRONLY,O_APPEND : write @w 12345678 : write @a end : get "$A/log2"
says "O_SYNC and O_DSYNC are taken" "0 0 xy" must s=open "$A/sync" O_WRONLY,O_CREAT,O_TRUNC,O_SYNC : write @s x \
	: must d=open "$A/sync" O_WRONLY,O_DSYNC : pwrite @d y 1 : get "$A/sync"
says "fsync, fdatasync and fsync of a directory" "0 0 0" must f=open "$A/f" O_RDWR : must d=open "$A" O_DIRECTORY \
	: fsync @f : fdatasync @f : fsync @d
says "a file can be mapped and read" "hello" must put "$A/map" hello : must f=open "$A/map" O_RDONLY : mmap @f r 0 5
says "what is stored through a map is read by read" "0 heLLo" must f=open "$A/map" O_RDWR : mmap @f w 2 LL : get "$A/map"
says "truncate shortens and extends with zeros" '0 ab 0 ab\x00\x00' must put "$A/t" abcdef : truncate "$A/t" 2 : get "$A/t" \
	: truncate "$A/t" 4 : get "$A/t"
says "ftruncate too" "0 3" must f=open "$A/t" O_RDWR : truncate @f 3 : stat @f size
says "a file opened read-only can not be written or truncated" "EBADF EINVAL" must f=open "$A/t" O_RDONLY : write @f x : truncate @f 0
says "a hole is a hole" "0 1048576 524288 0" must f=open "$A/hole" O_RDWR,O_CREAT,O_TRUNC : must truncate @f 1M \
	: pwrite @f data 524288 : stat @f size : lseek @f 0 DATA : lseek @f 0 HOLE
says "a hole takes no room" 8 must f=open "$A/hole" O_RDONLY : stat @f blocks
says "SEEK_DATA after the last byte is ENXIO" ENXIO must f=open "$A/hole" O_RDONLY : lseek @f 2M DATA
says "fallocate extends, keeps the size and punches" "0 8192 0 8192 0 0" must f=open "$A/fa" O_RDWR,O_CREAT,O_TRUNC \
	: fallocate @f extend 0 8192 : stat @f size : fallocate @f keep 8192 8192 : stat @f size : must write @f data : fallocate @f punch 0 4096 \
	: lseek @f 0 HOLE
says "copy_file_range copies" "5 hello" must put "$A/from" hello : must a=open "$A/from" O_RDONLY \
	: must b=open "$A/to" O_RDWR,O_CREAT,O_TRUNC : copy_file_range @a @b 100 : get "$A/to"
says "lseek CUR and END" "5 2" must a=open "$A/from" O_RDONLY : lseek @a 0 END : lseek @a 2 SET

# -- names ---------------------------------------------------------------------------------------------------------------
says "a file unlinked while it is open lives on" "0 ENOENT 0 hello 0 4 here" must f=open "$A/gone" O_RDWR,O_CREAT : must write @f hello \
	: unlink "$A/gone" : stat "$A/gone" : stat @f nlink : pread @f 5 0 : pwrite @f here 0 : must truncate @f 4 : stat @f size : pread @f 9 0
says "a file that another is renamed over lives on where it is open" "0 new old" must put "$A/x" old : must put "$A/y" new \
	: must f=open "$A/x" O_RDWR : rename "$A/y" "$A/x" : get "$A/x" : pread @f 3 0
says "rename keeps the file" "same" must put "$A/r1" z : run sh -c "
	a=\$(stat -c %i '$A/r1'); mv '$A/r1' '$A/r2'; b=\$(stat -c %i '$A/r2'); [ \$a = \$b ] && echo same"
says "rename NOREPLACE and EXCHANGE" "EEXIST 0 b a 0" must put "$A/a" a : must put "$A/b" b : rename "$A/a" "$A/b" NOREPLACE \
	: rename "$A/a" "$A/b" EXCHANGE : get "$A/a" : get "$A/b" : rename "$A/a" "$A/c" NOREPLACE
says "rename of a directory that is in use" "0 $A/d2 in" must mkdir "$A/d1" : must put "$A/d1/f" in : must chdir "$A/d1" \
	: rename "$A/d1" "$A/d2" : getcwd : get f
says "a directory that is not empty is not removed or replaced" "ENOTEMPTY ENOTEMPTY" must mkdir "$A/d3" : rmdir "$A/d2" : rename "$A/d3" "$A/d2"
says "a directory can not be moved into itself" EINVAL rename "$A/d2" "$A/d2/in"
says "a hard link is the same file" "0 2 two 0 1" must put "$A/l1" one : link "$A/l1" "$A/l2" : stat "$A/l1" nlink : must put "$A/l1" two \
	: get "$A/l2" : unlink "$A/l1" : stat "$A/l2" nlink
says "a nameless file can be given a name" "0 0 tmp 1" must t=open "$A" O_RDWR,O_TMPFILE 0600 : write @t tmp : link @t "$A/named" : get "$A/named" \
	: stat "$A/named" nlink
says "a nameless file that gets no name leaves nothing" "0 same" must t=open "$A" O_RDWR,O_TMPFILE : write @t x \
	: run sh -c "[ \"\$(ls '$A' | wc -l)\" -gt 3 ] && ! ls '$A' | grep -q '^#' && echo same"
says "names of 255 bytes, not of 256" "0 ENAMETOOLONG" put "$A/$(printf 'n%.0s' {1..255})" x : put "$A/$(printf 'n%.0s' {1..256})" x
says "names of any bytes" "0 x 0" put "$A/"$'a\nb \xff "' x : get "$A/"$'a\nb \xff "' : unlink "$A/"$'a\nb \xff "'
says ".. leads up, and out to a refusal" "dir EACCES" must mkdir "$A/up" : stat "$A/up/.." type : stat "$A/../bob-1"
says "the usual errors" "ENOENT EISDIR ENOTDIR ENOTDIR EEXIST ENOENT EISDIR" stat "$A/no" : open "$A/up" O_RDWR : open "$A/f" O_DIRECTORY \
	: stat "$A/f/x" : mkdir "$A/up" : mkdir "$A/no/x" : open "$A/up" O_WRONLY,O_CREAT
mkdir "$(data alice-1)/many"
(cd "$(data alice-1)/many" && touch {1000..3999})
chown -R 1000:1000 "$(data alice-1)/many"
is "a directory of 3000 names is listed whole, each name once" "$(as 1000:1000 ls "$A/many")" "$(echo {1000..3999})"
is "a directory can be emptied while it is listed" "$(as 1000:1000 run rm -r "$A/many" : stat "$A/many")" $'0\nENOENT'

# -- attributes -----------------------------------------------------------------------------------------------------------
is "times have nanoseconds" "$(as 1000:1000 must utimens "$A/f" 1.000000001 2000000000.999999999 : stat "$A/f" atime mtime)" \
	"1.000000001 2000000000.999999999"
is "one time can be left" "$(as 1000:1000 must utimens "$A/f" omit 7.000000007 : stat "$A/f" atime mtime)" "1.000000001 7.000000007"
is "times before 1970" "$(as 1000:1000 must utimens "$A/f" -5.000000000 -5.000000000 : stat "$A/f" mtime)" "-5.000000000"
unlike "writing sets the time of change" "$(as 1000:1000 must f=open "$A/f" O_RDWR : must write @f x : stat "$A/f" mtime)" "-5.*"
says "chmod, through a path and a descriptor" "0 0640 0 0600" chmod "$A/f" 0640 : stat "$A/f" mode : must f=open "$A/f" O_RDONLY : chmod @f 0600 : stat @f mode
says "umask counts" "0 0640 0 0750" must umask 027 : put "$A/u1" x 0666 : stat "$A/u1" mode : mkdir "$A/u2" 0777 : stat "$A/u2" mode
says "a file is its maker's" "1000:1000" stat "$A/f" owner
says "a user can not give a file away" EPERM chown "$A/f" 2000 -1
is "root can" "$(as 0:0 must put "$A/given" x : chown "$A/given" 2000 3000 : stat "$A/given" owner)" $'0\n2000:3000'
says "a write takes set-id bits away" "0 0755" must put "$A/suid" x : must chmod "$A/suid" 06755 : must f=open "$A/suid" O_WRONLY : write @f y : stat "$A/suid" mode
says "truncate takes set-id bits away" "0 0755" must chmod "$A/suid" 06755 : truncate "$A/suid" 0 : stat "$A/suid" mode
says "O_TRUNC takes set-id bits away" "0 0755" must chmod "$A/suid" 06755 : open "$A/suid" O_WRONLY,O_TRUNC : stat "$A/suid" mode
says "chown takes set-id bits away" "0 0755" must chmod "$A/suid" 06755 : chown "$A/suid" -1 1000 : stat "$A/suid" mode
says "fallocate takes set-id bits away" "0 0755" must chmod "$A/suid" 06755 : must f=open "$A/suid" O_RDWR : fallocate @f extend 0 9 : stat "$A/suid" mode
says "copy_file_range takes set-id bits away" "5 0755" must chmod "$A/suid" 06755 : must f=open "$A/suid" O_RDWR : must g=open "$A/from" O_RDONLY \
	: copy_file_range @g @f 5 : stat "$A/suid" mode
others "a set-group-id directory gives its group, to directories with the bit" "0 1000:3000 0 1000:3000 2755" 1000:1000,3000 must mkdir "$A/sg" \
	: must chown "$A/sg" -1 3000 : must chmod "$A/sg" 02775 : put "$A/sg/f" x : stat "$A/sg/f" owner : mkdir "$A/sg/d" : stat "$A/sg/d" owner mode
says "statfs tells of the disk below" "65735546" statfs "$A" type
says "locks work between processes, and are the kernel's own" "0 EAGAIN 0 0 EAGAIN" must f=open "$A/lock" O_RDWR,O_CREAT : must fork 1 \
	: must in 1 g=open "$A/lock" O_RDWR : flock @f ex : in 1 flock @g ex : flock @f un : lock @f w : in 1 lock @g w

# -- two users in one session ----------------------------------------------------------------------------------------------
says "a private directory with something in it" "0 0 0" must umask 0 : mkdir "$A/private" 0700 : put "$A/private/f" secret 0666 : mkdir "$A/private/d" 0777
others "another user can not search it" "EACCES EACCES EACCES EACCES EACCES" 2000:2000 stat "$A/private/f" : get "$A/private/f" \
	: ls "$A/private" : chdir "$A/private" : ls "$A/private/d"
is "not even where the kernel holds the names" "$(fst must bind process "$T/alice.token" : must fork 1 : must in 1 become 1000:1000 : must fork 2 \
	: must in 2 become 2000:2000 : must in 1 get "$A/private/f" : must in 1 stat "$A/private/d" : in 2 stat "$A/private/f" : in 2 get "$A/private/f" \
	: in 2 open "$A/private/f" O_RDWR,O_CREAT : in 2 put "$A/private/d/new" x : in 2 unlink "$A/private/f" : in 2 rename "$A/private/f" "$A/stolen" \
	: in 2 chmod "$A/private/f" 0777 : in 2 truncate "$A/private/f" 0 : in 2 access "$A/private/f" f : in 2 link "$A/private/f" "$A/stolen" \
	: in 1 get "$A/private/f" | tr '\n' ' ')" \
	"EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES secret "
is "a descriptor opened in good time goes on" "$(fst must bind process "$T/alice.token" : must fork 1 : must in 1 become 1000:1000 \
	: must in 1 chmod "$A/private" 0755 : must fork 2 : must in 2 become 2000:2000 : must in 2 f=open "$A/private/f" O_RDWR \
	: must in 1 chmod "$A/private" 0700 : in 2 pread @f 6 0 : in 2 stat @f size : in 2 get "$A/private/f" | tr '\n' ' ')" "secret 6 EACCES " 
is "not even while its owner has it open" "$(fst must bind process "$T/alice.token" : must fork 1 : must in 1 become 1000:1000 : must fork 2 \
	: must in 2 become 2000:2000 : must in 1 f=open "$A/private/f" O_RDWR : in 2 get "$A/private/f" : in 2 open "$A/private/f" O_RDWR \
	: in 2 truncate "$A/private/f" 0 : in 2 access "$A/private/f" r : in 1 get "$A/private/f" | tr '\n' ' ')" "EACCES EACCES EACCES EACCES secret "
others "modes count" "EACCES EACCES EACCES EPERM EPERM EACCES" 2000:2000 open "$A/f" O_RDONLY : open "$A/f" O_WRONLY : access "$A/f" r \
	: chmod "$A/f" 0777 : utimens "$A/f" 1 1 : unlink "$A/sg/f"
says "a file for a group" "0 0" must put "$A/grouped" members 0640 : chmod "$A" 0777 : chmod "$A/grouped" 0640
is "given to the group" "$(as 0:0 chown "$A/grouped" 1000 3000)" 0
others "a member of the group reads it" "members 0" 2000:2000,3000 get "$A/grouped" : access "$A/grouped" r
others "who is in no such group does not" "EACCES EACCES" 2000:2000,3001 get "$A/grouped" : access "$A/grouped" r
others "a user makes files of his own" "0 2000:2000" 2000:2000 put "$A/by2000" x : stat "$A/by2000" owner
says "in a sticky directory others' files stay" "0 0" mkdir "$A/sticky" : chmod "$A/sticky" 01777
says "his own is there" 0 put "$A/sticky/f" x 0666
others "unlink and rename are refused in a sticky directory" "EPERM EPERM" 2000:2000 unlink "$A/sticky/f" : rename "$A/sticky/f" "$A/sticky/g"
is "root passes where modes would stop others" "$(as 0:0 put "$A/private/r" root : get "$A/private/r")" $'0\nroot'
finish
