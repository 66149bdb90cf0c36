# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the scripts of limits, after lib.sh: a session, what the ledger says of it, and what its tree really has.
FLOOD=${FLOOD:-$BUILD/tests/fstest/flood}

token alice alice alice-1
A=$MNT/alice-1

# says CLAIM WANT CMD…: as alice, in her session.
says() { with "$1" alice "${@:2}"; }

# with CLAIM TOKEN WANT CMD…
with() {
	local claim=$1 name=$2 want=$3 got
	shift 3
	got=$(fst -u 1000:1000 must bind process "$T/$name.token" : "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

# fresh KEY=VALUE…: a daemon anew, over a store without sessions.
fresh() {
	down
	rm -rf "$T"/store/sessions/*/* "$T"/store/users/*/*
	up "$@"
}

cat >"$T/usage.py" <<'END'
import json, os, stat, sys, time

def ledger(path):
    used, granted, exact = [0, 0], [0, 0], True
    for name in os.listdir(path) if os.path.isdir(path) else []:
        exact = exact and name != "doubt"
        if not name.startswith(".") and name != "doubt":
            with open(os.path.join(path, name)) as f:
                line = json.load(f)
            exact = exact and not (line.get("open") or line.get("unsure"))
            used = [a + b for a, b in zip(used, line["used"])]
            granted = [a + b for a, b in zip(granted, line.get("granted", line["used"]))]
    return "%d %d" % tuple(used), "%d %d" % tuple(granted), str(exact)

def tree(path):
    size = names = 0
    for top, dirs, files in os.walk(path):
        for name in dirs + files:
            st = os.lstat(os.path.join(top, name))
            names += 1
            size += st.st_size if stat.S_ISREG(st.st_mode) else 0
    return "%d %d" % (size, names)

what, data, patience = sys.argv[1], sys.argv[2], float(sys.argv[3])
usage = os.path.dirname(data) + "/usage"
for i in range(int(patience * 10)):
    try:
        used, granted, exact = ledger(usage)
        answer = {"used": used, "granted": granted, "exact": exact, "tree": tree(data), "agree": "%s %s" % (used, exact)}[what]
        if what != "agree" or answer == tree(data) + " True":
            break
    except (OSError, ValueError) as e:
        answer = str(e)
    time.sleep(0.1)
print(answer)
END

# ledger SID [used|granted|exact]: "bytes files" that all instances together say are used, or may be; whether all is exact.
ledger() { python3 "$T/usage.py" "${2-used}" "$(data "$1")" $((PATIENCE / 10)); }

# tree SID: the same, from the tree.
tree() { python3 "$T/usage.py" tree "$(data "$1")" 1; }

# agree CLAIM SID: the ledger comes to say what the tree has.
agree() { is "$1" "$(python3 "$T/usage.py" agree "$(data "$2")" $((PATIENCE / 10)))" "$(tree "$2") True"; }
