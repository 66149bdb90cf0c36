#!/bin/bash
# SPDX-License-Identifier: MIT
# Limits of a session: each operation at its limit, and the ledger against the tree.
. "${0%/*}/lib.sh"
. "${0%/*}/quota.sh"

# -- bytes -------------------------------------------------------------------------------------------------------------------
up limits.session_bytes=64K limits.file_bytes=48K
says "what fits is written" "40960 0 40960" must f=open "$A/f" O_RDWR,O_CREAT : fill @f 4K 40K : stat "$A/f" size
agree "and counted" alice-1
says "a file grows to the largest size in part, then it is EFBIG" "8192 EFBIG 49152" must f=open "$A/f" O_WRONLY,O_APPEND : fill @f 6K 100K : stat "$A/f" size
says "what is there can be written over in a full file" "0 XY" must f=open "$A/f" O_RDWR : pwrite @f XY 49150 : pread @f 2 49150
says "truncate up beyond it is EFBIG, too" "EFBIG EFBIG 49152" truncate "$A/f" 49153 : must f=open "$A/f" O_RDWR : truncate @f 60000 : stat "$A/f" size
says "fallocate beyond it is EFBIG" "EFBIG 49152" must f=open "$A/f" O_RDWR : fallocate @f extend 40K 9K : stat "$A/f" size
says "a session is filled in part, then it is EDQUOT" "16384 EDQUOT 16384" must f=open "$A/g" O_RDWR,O_CREAT : fill @f 5K 100K : stat "$A/g" size
says "full: write, append, truncate up, fallocate are EDQUOT" "EDQUOT EDQUOT EDQUOT EDQUOT EDQUOT" must f=open "$A/g" O_RDWR : pwrite @f x 16384 \
	: must a=open "$A/g" O_WRONLY,O_APPEND : write @a x : truncate "$A/g" 16385 : truncate @f 16385 : fallocate @f extend 0 16385
says "a hole counts as well" "EDQUOT 16384" must f=open "$A/g" O_RDWR : pwrite @f x 20000 : stat "$A/g" size
says "copy_file_range into a full session is EDQUOT" "EDQUOT 0" must f=open "$A/f" O_RDONLY : must g=open "$A/h" O_RDWR,O_CREAT : copy_file_range @f @g 10K \
	: stat "$A/h" size
says "within the size it is not" "10240" must f=open "$A/f" O_RDONLY : must g=open "$A/g" O_RDWR : copy_file_range @f @g 10K
says "fallocate within the size is let through, too" "0 0" must f=open "$A/g" O_RDWR : fallocate @f extend 0 16384 : fallocate @f keep 0 16384
says "space beyond the end, which no size tells of, is refused" "EOPNOTSUPP" must f=open "$A/g" O_RDWR : fallocate @f keep 0 16385
says "holes can be punched, and change nothing" "0 16384" must f=open "$A/g" O_RDWR : fallocate @f punch 0 8192 : stat "$A/g" size
says "a hard link counts with all its bytes" "EDQUOT" link "$A/g" "$A/link"
agree "all of that is in the ledger" alice-1
says "truncating gives back" "0 8192 EDQUOT 8192" truncate "$A/g" 8192 : must f=open "$A/h" O_RDWR : fill @f 8K 100K : stat "$A/h" size
says "and by its open file" "0 4096 EDQUOT" must g=open "$A/g" O_RDWR : truncate @g 4096 : must f=open "$A/h" O_WRONLY,O_APPEND : fill @f 8K 100K
says "and so does O_TRUNC" "4096 EDQUOT 4096" must f=open "$A/g" O_RDWR,O_TRUNC : must h=open "$A/k" O_RDWR,O_CREAT : fill @h 8K 100K : stat "$A/k" size
says "and unlink" "0 4096 EDQUOT" unlink "$A/k" : must h=open "$A/k" O_RDWR,O_CREAT : fill @h 8K 100K
says "and rename over a file" "0 0 4096 EDQUOT" put "$A/empty" "" : rename "$A/empty" "$A/k" : must h=open "$A/l" O_RDWR,O_CREAT : fill @h 8K 100K
says "an exchange gives nothing back, and a rename that finds nothing there" "0 0 EDQUOT" rename "$A/l" "$A/g" EXCHANGE : rename "$A/g" "$A/new" \
	: must h=open "$A/l" O_RDWR : pwrite @h x 0
agree "the ledger follows" alice-1

fresh limits.session_bytes=64K
says "copy_file_range copies what fits" "45056 0 20480 20480 EDQUOT" must f=open "$A/f" O_RDWR,O_CREAT : fill @f 4K 44K : must g=open "$A/g" O_RDWR,O_CREAT \
	: copy_file_range @f @g 40K : stat "$A/g" size : pwrite @g x 20480
fresh limits.session_bytes=64K
says "a link is as much again" "16384 0 0 0 0 EDQUOT" must f=open "$A/f" O_RDWR,O_CREAT : fill @f 4K 16K : link "$A/f" "$A/l1" : link "$A/f" "$A/l2" : link "$A/f" "$A/l3" \
	: pwrite @f x 16384
says "a file with four names grows four times" "0 0 4" truncate "$A/f" 0 : must f=open "$A/f" O_RDWR : until 0 truncate @f 16384 : stat "$A/f" nlink
says "so that a byte more than a quarter is too much" "EDQUOT" truncate "$A/f" 16385
agree "links are counted at each name" alice-1
says "each name that goes gives back its share" "0 16384 EDQUOT" unlink "$A/l1" : must h=open "$A/h" O_RDWR,O_CREAT : fill @h 8K 100K
says "rename onto another name of the same file changes nothing" "0 f h l2 l3" rename "$A/l2" "$A/l3" : ls "$A"
agree "and the ledger agrees" alice-1

# -- files without a name ------------------------------------------------------------------------------------------------------
fresh limits.session_bytes=64K limits.session_files=4
says "a removed file counts while it is open" "65536 EDQUOT 0 EDQUOT EDQUOT" must f=open "$A/f" O_RDWR,O_CREAT : fill @f 8K 100K : unlink "$A/f" \
	: must g=open "$A/g" O_RDWR,O_CREAT : pwrite @g x 0 : pwrite @f x 65536
says "and no longer" "0" until 0 put "$A/g" y
agree "the ledger has the last close" alice-1
says "also when a rename replaced it, and when another has it open" "0 0 65535 EDQUOT 0 EDQUOT" put "$A/g" "" : put "$A/h" z : must f=open "$A/g" O_RDWR : fill @f 8K 100K \
	: must r=open "$A/g" O_RDONLY : must i=open "$A/g" O_WRONLY : rename "$A/h" "$A/g" : put "$A/i" x
agree "the last of three closes gives it back" alice-1
says "a nameless file counts" "0 65536 0 EDQUOT" unlink "$A/g" : must t=open "$A" O_RDWR,O_TMPFILE 0600 : fill @t 8K 60K : truncate @t 100K
agree "and is gone with its close" alice-1
says "it costs nothing more to give it a name" "65536 EDQUOT 0 65536" must t=open "$A" O_RDWR,O_TMPFILE 0600 : fill @t 8K 100K : link @t "$A/named" : stat "$A/named" size
agree "but then it stays" alice-1
says "truncating a nameless file gives back" "0 0 65536 EDQUOT" must f=open "$A/named" O_RDWR : unlink "$A/named" : truncate @f 0 : must g=open "$A/i" O_RDWR,O_CREAT,O_TRUNC : fill @g 8K 100K
agree "and nothing is given back twice" alice-1

# -- files -------------------------------------------------------------------------------------------------------------------
fresh limits.session_files=4 files.symlinks=allow files.special=allow
says "each kind of name is a file" "0 0 0 0" put "$A/f" x : mkdir "$A/d" : symlink f "$A/s" : mknod "$A/p" fifo
says "the next is EDQUOT, of each kind" "EDQUOT EDQUOT EDQUOT EDQUOT EDQUOT EDQUOT" open "$A/x" O_RDWR,O_CREAT : mkdir "$A/x" : symlink f "$A/x" : mknod "$A/x" fifo \
	: link "$A/f" "$A/x" : open "$A" O_RDWR,O_TMPFILE
says "in directories below, too" EDQUOT mkdir "$A/d/x"
says "what is there can be opened to be created, and renamed" "0 0 y" put "$A/f" y : rename "$A/f" "$A/g" : get "$A/g"
says "each that goes gives back one" "0 0 0 0 0 0 EDQUOT" rmdir "$A/d" : mkdir "$A/e" : unlink "$A/s" : put "$A/n" "" : rename "$A/n" "$A/g" : link "$A/g" "$A/h" : mkdir "$A/x"
agree "names are counted as they are" alice-1

# -- what token and configuration say ------------------------------------------------------------------------------------------
token less alice alice-1 --claim session_bytes=8192 --claim session_files=2
token more alice alice-1 --claim session_bytes=1000000 --claim file_bytes=4096
fresh limits.session_bytes=64K
with "a token lowers a limit" less "8192 EDQUOT 0 EDQUOT" must f=open "$A/f" O_RDWR,O_CREAT : fill @f 3K 100K : mkdir "$A/d" : mkdir "$A/e"
with "for the binding that it was presented for alone" alice "16384 0 0" must f=open "$A/g" O_RDWR,O_CREAT : fill @f 4K 16K : mkdir "$A/e"
with "who is above it already can remove, and not add" less "EDQUOT 0 EDQUOT" mkdir "$A/x" : rmdir "$A/e" : put "$A/g2" x
with "a token does not raise one" more "EFBIG 4096 0 0" truncate "$A/g" 100K : must f=open "$A/m1" O_RDWR,O_CREAT : fill @f 1K 4K : mkdir "$A/e"
says "nothing else was taken" "36864 EDQUOT" must f=open "$A/m2" O_RDWR,O_CREAT : fill @f 4K 100K
agree "and the ledger agrees" alice-1
is "by a handle it is the handle's token" "$(fst -u 1000:1000 must h=bind handle "$T/less.token" : put "$MNT/%h/x" x : unlink "$MNT/%h/m2")" $'EDQUOT\n0'
fresh
with "where the configuration limits nothing a token may" less "8192 EDQUOT" must f=open "$A/f" O_RDWR,O_CREAT : fill @f 3K 100K
with "and from then on everything is counted" alice "0" must f=open "$A/g" O_RDWR,O_CREAT : truncate @f 100K
agree "whoever wrote it" alice-1
for claim in session_bytes=-1 session_files=1.5 file_bytes= user_bytes=1K user_files=x user_sessions=9223372036854775808; do
	is "mint refuses --claim $claim" "$("$BUILD/session-token" mint --key "$T/issuer/issuer.key" --sub x --claim "$claim" 2>/dev/null; echo $?)" 2
done

# -- df ------------------------------------------------------------------------------------------------------------------------
fresh limits.session_bytes=1M limits.session_files=10
says "df shows the limit, and what is left" "1024 1024 10 10 0 1024 512 10 8" statfs "$A" quota : mkdir "$A/d" : must f=open "$A/f" O_RDWR,O_CREAT : must truncate @f 512K \
	: statfs "$A/d" quota
token half alice alice-1 --claim session_bytes=786432
with "and a token's" half "768 256 10 8" statfs "$A" quota
says "outside a session it is the store's" "0" run sh -c "[ \$(stat -f -c %b '$MNT') = \$(stat -f -c %b '$T/store') ]; echo \$?" 

# -- maps ----------------------------------------------------------------------------------------------------------------------
fresh limits.session_bytes=64K
says "a mapped write makes nothing larger" "8192 0 0 8192" must f=open "$A/f" O_RDWR,O_CREAT : fill @f 8K 8K : mmap @f w 4096 mapped : stat "$A/f" size
agree "and after its close the ledger agrees" alice-1
says "msync beyond the end is no way to grow" 8192 stat "$A/f" size

# -- many at once --------------------------------------------------------------------------------------------------------------
for mode in same own apart routes; do
	fresh limits.session_bytes=3000001 limits.file_bytes=100G
	got=$("$FLOOD" "$MNT" "$T/alice.token" $mode 8 5000 100000)
	[[ $mode = apart ]] && got="3000001 ${got#* }" # what lies between counts too, and who comes first takes it
	is "8 writers, $mode: all that fits and not a byte more is written" "$got" "3000001 EDQUOT"
	agree "8 writers, $mode: the ledger has it to the byte" alice-1
	is "8 writers, $mode: the tree is full, and not fuller" "$(tree alice-1 | cut -d' ' -f1)" 3000001
done
fresh limits.session_bytes=200K limits.session_files=6 limits.file_bytes=70K
got=$("$FLOOD" "$MNT" "$T/alice.token" churn 8 30000 400)
like "8 that make, link, cut, rename and remove are refused now and then" "$got" '0 E*'
agree "and afterwards the ledger has every byte and name" alice-1
read -r bytes files <<<"$(tree alice-1)"
ok "within the limits" [ "$bytes" -le 204800 -a "$files" -le 6 ]
fresh limits.session_bytes=200K limits.session_files=6 files.io=strict
"$FLOOD" "$MNT" "$T/alice.token" churn 8 30000 200 >/dev/null
agree "strict: the same" alice-1

ok "refusals are counted" grep -q '^sessionfs_quota_refusals_total{limit="session_bytes"} [1-9]' "$MNT/.sessionfs/metrics"
is "and not audited: a full disk is no attack" "$(audit errno=EDQUOT | wc -l)" 0
finish
