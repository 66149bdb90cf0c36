#!/bin/bash
# SPDX-License-Identifier: MIT
# One session by two routes, its <sid> and a handle: two trees, and what one changes the other sees.
. "${0%/*}/lib.sh"

up
token alice alice alice-1
token bob bob bob-1
A=$MNT/alice-1 H=$MNT/%h

# The caller is bound, and has a handle too. `until` asks until it is so.
says() {
	local claim=$1 want=$2 got
	shift 2
	got=$(fst -u 1000:1000 must h=bind handle "$T/alice.token" : must bind thread "$T/alice.token" : "$@")
	is "$claim" "${got//$'\n'/ }" "$want"
}

says "rename and link between the routes are EXDEV, both ways" "EXDEV EXDEV EXDEV EXDEV" must put "$A/f" x \
	: rename "$A/f" "$H/g" : rename "$H/f" "$A/g" : link "$A/f" "$H/g" : link "$H/f" "$A/g"
says "and nothing was moved" "f f" ls "$A" : ls "$H"
is "between two handles of one session too" "$(fst -u 1000:1000 must h=bind handle "$T/alice.token" : must a=open "$H" O_DIRECTORY \
	: must i=bind handle "$T/alice.token" : must b=open "$H" O_DIRECTORY : rename @a/f @b/g : link @a/f @b/g)" $'EXDEV\nEXDEV'
is "rename from another session is EACCES, not EXDEV" "$(fst -u 1000:1000 must h=bind handle "$T/alice.token" : must bind thread "$T/bob.token" \
	: must put "$MNT/bob-1/f" x : rename "$H/f" "$MNT/bob-1/g" : rename "$MNT/bob-1/f" "$H/g" : link "$MNT/bob-1/f" "$H/g")" \
	$'EACCES\nEACCES\nEACCES'
is "nor can one who is unbound move between two sessions by two handles" "$(fst -u 1000:1000 must h=bind handle "$T/alice.token" \
	: must a=open "$H" O_DIRECTORY : must i=bind handle "$T/bob.token" : must b=open "$H" O_DIRECTORY : rename @a/f @b/g : link @a/f @b/g)" \
	$'EACCES\nEACCES'

# Each way: X does, Y had looked at it before and sees it.
for way in "$A $H <sid> the-handle" "$H $A the-handle <sid>"; do
	read -r X Y x y <<<"$way"
	says "$y sees what $x makes" new must stat "$Y/." : must put "$X/new" new : until new get "$Y/new"
	says "$y sees at once what $x writes" "0 ol! 3" must put "$X/f" old : must stat "$Y/f" : must f=open "$X/f" O_WRONLY : pwrite @f ! 2 : get "$Y/f" : stat "$Y/f" size
	says "$y sees at once a mode that $x changes" "0600" must stat "$Y/f" : must chmod "$X/f" 0600 : stat "$Y/f" mode
	says "$y sees what $x removes" ENOENT must put "$X/gone" x : must stat "$Y/gone" : must unlink "$X/gone" : until ENOENT stat "$Y/gone"
	says "$y sees what $x renames" "ENOENT moved" must put "$X/from" moved : must stat "$Y/from" : must rename "$X/from" "$X/to" \
		: until ENOENT stat "$Y/from" : get "$Y/to"
	says "$y sees what $x renames over another" "second" must put "$X/one" first : must put "$X/two" second : must get "$Y/one" \
		: must rename "$X/two" "$X/one" : until second get "$Y/one"
	says "$y sees an exchange that $x makes" "B A" must put "$X/ex1" A : must put "$X/ex2" B : must get "$Y/ex1" : must get "$Y/ex2" \
		: must rename "$X/ex1" "$X/ex2" EXCHANGE : until B get "$Y/ex1" : until A get "$Y/ex2"
	says "$y sees a directory that $x removes" "ENOENT ENOENT" must mkdir "$X/dir" : must stat "$Y/dir" : must rmdir "$X/dir" \
		: until ENOENT stat "$Y/dir" : until ENOENT ls "$Y/dir"
	says "$y sees a directory that $x moves, and what is in it" "ENOENT in 0" must mkdir "$X/d1" : must put "$X/d1/f" in : must get "$Y/d1/f" \
		: must rename "$X/d1" "$X/d2" : until ENOENT stat "$Y/d1/f" : until in get "$Y/d2/f" : must unlink "$X/d2/f" : until 0 rmdir "$Y/d2"
	says "a file made again by $x under the same name is the new one for $y" "again" must put "$X/same" first : must get "$Y/same" : must unlink "$X/same" \
		: must put "$X/same" again : until again get "$Y/same"
	says "two routes append to one file and lose nothing" "0 0 0 a1b1a2" must put "$X/log" "" : must a=open "$X/log" O_WRONLY,O_APPEND \
		: must b=open "$Y/log" O_WRONLY,O_APPEND : write @a a1 : write @b b1 : write @a a2 : get "$X/log"
	says "locks do not reach from one route to the other" "0 0" must a=open "$X/log" O_RDWR : must b=open "$Y/log" O_RDWR : flock @a ex : flock @b ex
done

finish
