#!/bin/bash
# SPDX-License-Identifier: MIT
# Two daemons with different configurations on one store: both serve, and each says once where they contradict each other.
. "${0%/*}/lib.sh"

up daemon.name=one files.cache=shared release.policy=observe
mkdir "$T/keys2.d"
cp "$T/issuer/issuer.pub" "$T/keys2.d/"
cp "$T/forger/issuer.pub" "$T/keys2.d/other.pub"
second files.cache=private release.policy=off files.io=strict "tokens.keys=$T/keys2.d"

says() { grep -qF "$2" "$1"; }
has() { await says "$2" "$3"; is "$1" "$(grep -cF "$3" "$2")" 1; }
has "the second says that the caching differs" "$T/log2" "instance one: files.cache is shared there and private here: what the other changes is seen late where it is private"
has "and the first too" "$T/log" "instance two: files.cache is private there and shared here:"
has "the release policy" "$T/log2" "instance one: release.policy is observe there and off here: what one refuses the other serves"
has "the trusted keys" "$T/log2" "instance one: tokens.keys is "
is "what may differ is not spoken of" "$(grep -c "files.io" "$T/log2" "$T/log" | cut -d: -f2 | tr '\n' ' ')" "0 0 "

token alice alice alice-1
is "both serve" "$(fst -b "process:$T/alice.token" put "$MNT/alice-1/f" text; fst -m "$TWO" -b "process:$T/alice.token" get "$TWO/alice-1/f")" $'0\ntext'

# After two more rounds of heartbeats nothing was said again.
beat() { sed 's/.*"beat":"\([^"]*\)".*/\1/' "$T/store/nodes/two.json"; }
for round in 1 2; do
	before=$(beat)
	moved() { [[ $(beat) != "$before" ]]; }
	await moved || fail "round $round of heartbeats"
done
is "each is said once" "$(grep -h "instance one" "$T/log2" | sort | uniq -c | awk '$1 > 1' | wc -l) $(grep -c "files.cache" "$T/log2")" "0 1"

stop_second
finish
