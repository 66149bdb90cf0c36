#!/bin/bash
# SPDX-License-Identifier: MIT
# Keys and tokens on the command line: session-token, and what all programs say of themselves.
. "${0%/*}/lib.sh"
. "${0%/*}/program.sh"

KEY=$T/issuer/issuer.key

st() { run "$BUILD/session-token" "$@"; }

refuses() { local claim=$1 pattern=$2; shift 2; says "$claim" 1 "session-token: $pattern" "$BUILD/session-token" "$@"; }
misused() { local claim=$1 pattern=$2; shift 2; says "$claim" 2 "session-token: $pattern" "$BUILD/session-token" "$@"; }

# json PYTHON-EXPRESSION: of the object j on standard input.
json() { python3 -c 'import json, sys; j = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }

# -- every program says what it is, and whether that could be said ----------------------------------------------------

version=$("$BUILD/session-token" --version)
version=${version#* }
for p in sessionfs session-token session-exec session-ls; do
	run "$BUILD/$p" --help
	like "$p --help prints the usage, and that is all" "$status|$err|$out" "0||[Uu]sage: $p *"
	run "$BUILD/$p" --version
	is "$p --version names the program and the version" "$status|$err|$out" "0||$p $version"
	for o in --help --version; do
		timeout 20 "$BUILD/$p" $o >/dev/full 2>"$T/err"
		like "$p $o onto a full disk is a failure" "$?|$(<"$T/err")" "1|$p: *No space left on device"
	done
	run "$BUILD/$p"
	like "$p alone is misused, and says how it is used on stderr" "$status|$out|$err" "2||*$p --help*"
	run "$BUILD/$p" --no-such-option
	like "$p: an unknown option is misuse" "$status|$out|$err" "2||*no-such-option*"
done
st mint --help
like "help of a command is the program's" "$status|$err|$out" "0||usage: session-token *"

# -- misuse: status 2, one line ------------------------------------------------------------------------------------------

run "$BUILD/session-token" frobnicate
like "a command that is none is named" "$status|$out|$err" "2||session-token: frobnicate: no such command"$'\n'"usage: *"
misused "keygen takes a directory" "keygen: one directory is needed" keygen
misused "keygen takes one" "keygen: one directory is needed" keygen "$T/k1" "$T/k2"
ok "and makes none then" test ! -e "$T/k1" -a ! -e "$T/k2"
misused "mint needs a key" "mint: --key and --sub are needed" mint --sub alice
misused "mint needs a user" "mint: --key and --sub are needed" mint --key "$KEY"
misused "mint takes no other arguments" "mint: takes options alone*" mint --key "$KEY" --sub alice more
says "an option without its value is misuse" 2 "*session-token: option '--sub' requires an argument" "$BUILD/session-token" mint --key "$KEY" --sub
misused "verify needs keys" "verify: --keys is needed" verify
long=$(printf 'x%.0s' {1..256})
for sub in "" $'a\nb' $'a\x7f' $'\xff' "$long"; do
	misused "no user is called $(printf %q "${sub:0:8}")" "mint: --sub: must be 1 to 255 bytes *" mint --key "$KEY" --sub "$sub"
done
for sid in "" self .x '~x' a/b 'a b' ä "${long:0:129}"; do
	misused "no session is called '${sid:0:8}'" "mint: --sid: must be 1 to 128 of *" mint --key "$KEY" --sub alice --sid "$sid"
done
for ttl in "" 0 0h -1 1.5h h 5w 8hh ' 8h' '8h ' +8 0x10 1234567890; do
	misused "'$ttl' is no duration" "mint: --ttl $ttl: must be a duration *" mint --key "$KEY" --sub alice --ttl "$ttl"
done
misused "a claim has a value" "mint: --claim jti: must be name=value" mint --key "$KEY" --sub alice --claim jti
misused "and a name" "mint: --claim =x: must be name=value" mint --key "$KEY" --sub alice --claim =x
for c in sub sid aud iat exp; do
	misused "$c is no --claim" "mint: --claim $c: has an option of its own (--*)" mint --key "$KEY" --sub alice --claim $c=x
done
misused "an audience is not empty" "mint: --aud: must have 1 to *" mint --key "$KEY" --sub alice --aud ""
misused "nbf is a time" "mint: *nbf*" mint --key "$KEY" --sub alice --claim nbf=tomorrow

# -- keygen --------------------------------------------------------------------------------------------------------------

for mask in 000 022 077; do
	(umask $mask && exec "$BUILD/session-token" keygen "$T/keys$mask") >"$T/kid" 2>&1
	is "umask $mask: the secret key is the issuer's alone, the public one everybody's" \
		"$(stat -c %a "$T/keys$mask/issuer.key" "$T/keys$mask/issuer.pub" | xargs)" "600 644"
done
like "keygen prints the key id" "$(<"$T/kid")" 'k4.pid.????????????????????????????????????????????'
like "the secret is one line" "$(wc -l <"$KEY") $(<"$KEY")" "1 k4.secret.*"
like "the public key too" "$(wc -l <"$T/issuer/issuer.pub") $(<"$T/issuer/issuer.pub")" "1 k4.public.*"
unlike "two keys differ" "$(<"$T/issuer/issuer.pub")" "$(<"$T/forger/issuer.pub")"
before=$(cat "$T"/issuer/*)
refuses "keygen overwrites nothing" "$T/issuer/issuer.key: File exists" keygen "$T/issuer"
is "and leaves the keys as they are" "$(cat "$T"/issuer/*)" "$before"
mkdir "$T/half" "$T/planted"
echo mine >"$T/half/issuer.pub"
refuses "a public key is not overwritten either" "$T/half/issuer.pub: File exists" keygen "$T/half"
is "and half a pair is not left behind" "$(ls "$T/half") $(<"$T/half/issuer.pub")" "issuer.pub mine"
ln -s "$T/elsewhere" "$T/planted/issuer.key"
refuses "a link that somebody planted is not followed" "$T/planted/issuer.key: File exists" keygen "$T/planted"
ok "nothing is made where it leads" test ! -e "$T/elsewhere"
refuses "a directory below nothing can not be made" "$T/no/where: No such file or directory" keygen "$T/no/where"
refuses "a file is no directory" "$KEY: Not a directory" keygen "$KEY"
timeout 20 "$BUILD/session-token" keygen "$T/full" >/dev/full 2>"$T/err"
like "a key id that can not be printed is a failure" "$?|$(<"$T/err")" "1|session-token: standard output: No space left on device"

# -- the issuer's key comes from a file that nobody else can read ---------------------------------------------------------

mkdir -m 755 "$T/try"
K=$T/try/key
fresh_key() { rm -rf "$K"; install -m 600 "$KEY" "$K"; }
mint_with() { local claim=$1 pattern=$2; refuses "$claim" "$K: $pattern" mint --key "$K" --sub alice; }

for mode in 640 604 620 602 610 601 660 644; do
	fresh_key
	chmod $mode "$K"
	mint_with "a key of mode $mode is refused" "group or others have access to it (chmod 600)"
done
for mode in 600 400; do
	fresh_key
	chmod $mode "$K"
	st mint --key "$K" --sub alice
	like "a key of mode $mode is taken" "$status|$err|$out" "0||v4.public.*"
done
fresh_key
chown 1000:1000 "$K"
mint_with "another user's key is refused, also to root" "is owned by another user"
rm "$K" && ln -s "$KEY" "$K"
mint_with "a symbolic link is refused" "is a symbolic link"
rm "$K" && mkfifo -m 600 "$K"
mint_with "a fifo is refused, and not waited for" "not a regular file"
rm "$K" && mkdir -m 700 "$K"
mint_with "a directory is refused" "not a regular file"
rmdir "$K"
mint_with "a key that is not there says so" "No such file or directory"

secret=$(<"$KEY")
bad_key() {
	fresh_key
	printf %b "$2" >"$K"
	mint_with "$1 is no key" "not one k4.secret key"
	[[ $err != *"${secret:10:20}"* ]] || fail "the message does not tell the key"
}
bad_key "an empty file" ""
bad_key "an empty line" "\n"
bad_key "half a key" "${secret:0:60}\n"
bad_key "two keys" "$secret\n$secret\n"
bad_key "a key and a space" "$secret \n"
bad_key "a key and a carriage return" "$secret\r\n"
bad_key "a public key" "$(<"$T/issuer/issuer.pub")\n"
bad_key "a key that goes on" "${secret}A\n"
fresh_key
printf %s "$secret" >"$K"
st mint --key "$K" --sub alice
like "a key without a newline is one" "$status|$err|$out" "0||v4.public.*"

install -m 755 "$BUILD/session-token" "$T/st"
fresh_key
says "root's key is not another user's to read" 1 "st: $K: Permission denied" \
	setpriv --reuid 1000 --regid 1000 --clear-groups "$T/st" mint --key "$K" --sub alice
chown 1000 "$K"
run setpriv --reuid 1000 --regid 1000 --clear-groups "$T/st" mint --key "$K" --sub alice
like "a user's own key is" "$status|$err|$out" "0||v4.public.*"

# -- mint, show and verify -----------------------------------------------------------------------------------------------

show() { "$BUILD/session-token" show <<<"$1"; }
verify() { "$BUILD/session-token" verify --keys "$T/keys.d" "${@:2}" <<<"$1"; }
mint() { "$BUILD/session-token" mint --key "$KEY" "$@"; }

t=$(mint --sub 'Ada Lovelace')
is "a token is one line" "$(wc -l <<<"$t")" 1
is "it says who, for whom, and nothing that was not asked for" \
	"$(show "$t" | json '[j["claims"]["sub"], j["claims"]["aud"], sorted(j["claims"])]')" \
	"['Ada Lovelace', 'sessionfs', ['aud', 'exp', 'iat', 'sid', 'sub']]"
like "its session is random: 128 bits in hexadecimal" "$(show "$t" | json 'len(j["claims"]["sid"]), set(j["claims"]["sid"]) <= set("0123456789abcdef")')" "(32, True)"
unlike "each time another" "$(show "$t" | json 'j["claims"]["sid"]')" "$(show "$(mint --sub ada)" | json 'j["claims"]["sid"]')"
lifetime='(lambda t: int((t(j["claims"]["exp"]) - t(j["claims"]["iat"])).total_seconds()))(lambda s: __import__("datetime").datetime.fromisoformat(s.replace("Z", "+00:00")))'
is "it is good for eight hours" "$(show "$t" | json "$lifetime")" 28800
for pair in 7:7 90s:90 15m:900 2h:7200 30d:2592000; do
	is "--ttl ${pair%:*} is ${pair#*:} seconds" "$(show "$(mint --sub a --ttl "${pair%:*}")" | json "$lifetime")" "${pair#*:}"
done
t=$(mint --sub ü --sid S.1_-x --aud there --claim jti=7 --claim iss=me --claim nbf=2026-01-31T23:59:59Z --claim color=rot=blau)
is "options and claims are what was given" \
	"$(show "$t" | json '[j["claims"][k] for k in ("sub", "sid", "aud", "jti", "iss", "nbf", "color")]')" \
	"['ü', 'S.1_-x', 'there', '7', 'me', '2026-01-31T23:59:59Z', 'rot=blau']"
is "show prints one object: verified, claims, footer" "$(show "$t" | json 'sorted(j), j["verified"], sorted(j["footer"])')" \
	"(['claims', 'footer', 'verified'], False, ['kid'])"
is "the footer names the key" "$(show "$t" | json 'j["footer"]["kid"]')" "$(verify "$t" --aud there | json 'j["footer"]["kid"]')"
is "verify prints the same, and that it is verified" \
	"$(verify "$t" --aud there | json 'j.pop("verified"), j')" "$(show "$t" | json '(j.pop("verified") is False, j)')"
is "mint, show and verify stop at nothing but a full disk" \
	"$(for c in "mint --key $KEY --sub a" show "verify --keys $T/keys.d --aud there"; do
		"$BUILD/session-token" $c <<<"$t" >/dev/full 2>"$T/err"; echo "$? $(<"$T/err")"; done | sort | uniq -c | xargs)" \
	"3 1 session-token: standard output: No space left on device"
refuses "a token has a limit" "mint: the token would be longer than 4096 bytes" mint --key "$KEY" --sub a \
	--claim "a=$(head -c 4000 /dev/zero | tr '\0' x)"
misused "a claim is UTF-8" "mint: --claim a: not UTF-8" mint --key "$KEY" --sub a --claim a=$'\xff'
refuses "time ends with the year 9999" "mint: *before the year 10000" mint --key "$KEY" --sub a --ttl 99999999d

# refused CLAIM REASON TOKEN [OPTION…]: by verify, which then prints nothing.
refused() {
	printf '%s\n' "$3" | "$BUILD/session-token" verify --keys "$T/keys.d" "${@:4}" >"$T/out" 2>"$T/err"
	is "$1" "$?|$(<"$T/out")|$(<"$T/err")" "1||session-token: $2"
}
token alice alice alice-1
forged forged alice alice-1
damaged damaged alice
expired late alice alice-1
t=$(<"$T/alice.token")
refused "a token of an unknown key is refused" "token refused: unknown-key" "$(<"$T/forged.token")"
refused "a changed one" "token refused: bad-signature" "$(<"$T/damaged.token")"
refused "one whose time is over" "token refused: expired" "$(<"$T/late.token")"
refused "one that is for somebody else" "token refused: bad-audience" "$t" --aud other
refused "one that is good for too long" "token refused: bad-lifetime" "$(mint --sub a --ttl 31d)"
refused "one from the future" "token refused: not-yet-valid" "$(mint --sub a --claim nbf=2999-01-01T00:00:00Z)"
refused "one of another kind" "token refused: bad-header" "v4.local.AAAA"
refused "one with something behind it" "token refused: bad-encoding" "$t "
refused "two" "token refused: bad-encoding" "$t"$'\n'"$t"
refused "none" "standard input: no token" ""
refused "what is too long to be one" "standard input: longer than a token of 4096 bytes" "$(head -c 5000 /dev/zero | tr '\0' A)"
is "show shows what verify refuses" "$(show "$(<"$T/forged.token")" | json 'j["verified"], j["claims"]["sub"]')" "(False, 'alice')"
says "keys that are not there are a failure" 1 "session-token: *$T/none*" "$BUILD/session-token" verify --keys "$T/none"

# -- a token or a key in the arguments would be there for everybody to see: it is refused, and not repeated ------------------

for c in show "verify --keys $T/keys.d" "mint --key $KEY --sub a"; do
	st $c "$t"
	is "${c%% *} takes no token as an argument" "$status|$out" "2|"
	unlike "and does not repeat it" "$err" "*${t:20:40}*"
done
SESSION_TOKEN=$t TOKEN=$t st show
is "nor one from the environment" "$status" 1

finish
