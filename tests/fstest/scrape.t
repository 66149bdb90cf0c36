#!/bin/bash
# SPDX-License-Identifier: MIT
# The recipe of packaging/prometheus: metrics as a file for node_exporter.
. "${0%/*}/lib.sh"

RECIPE=$ROOT/packaging/prometheus/sessionfs-textfile
OUT=$T/collected/sessionfs.prom
mkdir -m 755 "$T/collected"

# scrape WORDS…: what it complains of, and its status.
scrape() {
	timeout -k 5 60 "$RECIPE" "$@" 2>&1 </dev/null
	echo "status $?"
}

up
token alice alice alice-1
fst must bind thread "$T/alice.token" : must put "$MNT/alice-1/f" text : stat "$MNT/bob-1" >/dev/null
unheld() { [[ $(grep -c '^sessionfs_bindings{.*} 0$' "$MNT/.sessionfs/metrics") = 3 ]]; }
await unheld || bail "a binding outlives its holder"
export TIMEOUT=60 # the machine may have much else to do

is "a mount is scraped" "$(scrape "$MNT" "$OUT")" "status 0"
is "its file is for everybody to read" "$(stat -c '%a %U' "$OUT")" "644 root"
is "and alone" "$(ls -A "$T/collected")" sessionfs.prom
is "it is Prometheus' text" "$(python3 "$HERE/exposition.py" "$OUT")" ""
is "each sample tells its mount" "$(grep -v '^#' "$OUT" | grep -vcF "{mount=\"$MNT\"")" 0
# Of what the scraping itself does not change.
still() { grep 'info\|start_time\|op="\(create\|mkdir\|write\)"\|refus\|bind\|^# .*\(counter\|gauge\)$'; }
is "and is the daemon's own otherwise" "$(still <"$OUT" | sed -e "s|{mount=\"$MNT\",|{|" -e "s|{mount=\"$MNT\"}||")" "$(still <"$MNT/.sessionfs/metrics")"
is "with its value" "$(grep -F "sessionfs_refusal_reasons_total{mount=\"$MNT\",reason=\"another-session\"}" "$OUT" | awk '{ print $2 }')" 1

# One who reads it all the time.
cat >"$T/reader" <<'END'
import os, sys
sys.path.insert(0, sys.argv[2])
import exposition
seen, faults = set(), []
while not os.path.exists(sys.argv[3]):
    try:
        with open(sys.argv[1], "rb") as f:
            seen.add(os.fstat(f.fileno()).st_ino)
            text = f.read().decode()
    except FileNotFoundError:
        faults.append("absent")
        continue
    if list(exposition.check(text)):
        faults.append("half")
print(len(seen) > 1, faults[:3])
END
python3 -B "$T/reader" "$OUT" "$HERE" "$T/enough" >"$T/read" 2>&1 &
reader=$!
for _ in {1..20}; do scrape "$MNT" "$OUT" >/dev/null; done
touch "$T/enough"
wait "$reader"
is "whoever reads it meanwhile has the old one or the new one, whole" "$(<"$T/read")" "True []"

# -- two mounts ---------------------------------------------------------------------------------------------------------

mkdir -m 700 "$T/store2"
mkdir "$T/other mount"
start -c "$T/conf" "$T/store2" "$T/other mount" || bail "no second mount"
is "a mount of another name is scraped" "$(scrape "$T/other mount" "$T/collected/two.prom")" "status 0"
is "and has another label" "$(cat "$OUT" "$T/collected/two.prom" | grep -v '^#' | sed 's/ [^ ]*$//' | sort | uniq -d)" ""
is "and families of the same words" "$(grep '^#' "$OUT")" "$(grep '^#' "$T/collected/two.prom")"
umount "$T/other mount"

# -- what can't be had ----------------------------------------------------------------------------------------------------

# fails CLAIM WHY MOUNT: and no file is left, old or new.
fails() {
	: >"$OUT"
	like "$1" "$(scrape "$3" "$OUT")|$(ls -A "$T/collected")" "*sessionfs-textfile: $2"$'\n'"status 1|two.prom"
}
like "two words are needed" "$(scrape "$MNT")" $'usage: *\nstatus 2'
fails "a mount that is gone" "$T/other mount: no sessionfs is mounted there" "$T/other mount"
fails "what is none" "$T: no sessionfs is mounted there" "$T"
fails "what is below one" "$MNT/.sessionfs: no sessionfs is mounted there" "$MNT/.sessionfs"
fails "what is not there" "$T/none: no sessionfs is mounted there" "$T/none"
fails "a name that is not absolute" "mnt: not an absolute path" mnt
fails "a name that would end its label" '/x"y: a name with quotes*' '/x"y'
fails "a name of two lines" '/x*y: a name with quotes*' $'/x\ny'

kill -STOP "$DAEMON"
TIMEOUT=1 fails "a daemon that does not answer" "$MNT: *" "$MNT"
kill -CONT "$DAEMON"
is "when it does again, there is a file again" "$(scrape "$MNT" "$OUT")" "status 0"
like "no directory to write to" "$(scrape "$MNT" "$T/nowhere/x.prom")" $'*sessionfs-textfile: *\nstatus 1'

# While nothing is mounted, the directory's owner could put a link there; and if findmnt were wrong about it?
mkdir -p "$T/trap/.sessionfs" "$T/bin"
ln -s "$T/secret" "$T/trap/.sessionfs/metrics"
echo 'sessionfs_x 1' >"$T/secret"
fails "a link that somebody put in its place" "$T/trap: no sessionfs is mounted there" "$T/trap"
printf '#!/bin/sh\necho fuse.sessionfs\n' >"$T/bin/findmnt"
chmod 755 "$T/bin/findmnt"
for secret in 'root:secret:sessionfs_x 1\n' 'sessionfs_x 1\nroot:secret\n' '# root:secret\n' ''; do
	printf "$secret" >"$T/secret"
	PATH=$T/bin:$PATH fails "what is not metrics is not published: '${secret//'\n'/ }'" "$T/trap: its metrics can't be read, or are none" "$T/trap"
done

# -- the alerts ------------------------------------------------------------------------------------------------------------

ALERTS=$ROOT/packaging/prometheus/alerts.yml
is "the alerts are about metrics that there are" "$(grep -o 'sessionfs_[a-z_]*' "$ALERTS" | sort -u | while read -r m; do
	grep -q "^# TYPE $m " "$MNT/.sessionfs/metrics" || echo "$m"; done)" ""
is "and reasons" "$(sed -n 's/.*reason="\([^"]*\)".*/\1/p' "$ALERTS" | while read -r word; do
	grep -qF "reason=\"$word\"" "$MNT/.sessionfs/metrics" || echo "$word"; done)" ""
finish
