/* SPDX-License-Identifier: MIT */
#include "proto/sid.h"

#include <sodium.h>

#include "tap.h"
#include "util.h"

static const char *const good[] = {"a",          "0",  "-",    "_",     "-rf", "a.b",
				   "a..b",       "a.", "Self", "selfs", "sel", "b2f6a3c4-0f7e-4a5b-9d57-0d9c1f5f6a11",
				   "A.Z_a-z.0-9"};

static const struct {
	const char *why, *s;
	size_t len;
} refused[] = {
	{"nothing", "", 0},
	{"\"self\", which is a link in the root", "self", 4},
	{"\".\"", ".", 1},
	{"\"..\"", "..", 2},
	{"a leading dot", ".sessionfs", 10},
	{"a leading tilde, which is a handle", "~x", 2},
	{"a tilde inside", "a~", 2},
	{"a slash", "a/b", 3},
	{"a leading slash", "/a", 2},
	{"a space", "a b", 3},
	{"a newline", "a\n", 2},
	{"a NUL at the end", "a\0", 2},
	{"a NUL inside", "a\0b", 3},
	{"a plus", "a+b", 3},
	{"a percent sign", "a%2e", 4},
	{"a backslash", "a\\b", 3},
	{"a letter that is not ASCII", "caf\xc3\xa9", 5},
	{"a full-width letter", "\xef\xbd\x81", 3},
};

int main(void)
{
	char long_sid[SID_MAX + 1], name[SID_HASH_LEN + 1], other[SID_HASH_LEN + 1];

	if (sodium_init() < 0)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ok(sid_valid(good[i], strlen(good[i])), "%s is a sid", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		ok(!sid_valid(refused[i].s, refused[i].len), "%s is no sid", refused[i].why);

	memset(long_sid, 'x', sizeof(long_sid));
	ok(sid_valid(long_sid, SID_MAX), "128 characters are a sid");
	ok(!sid_valid(long_sid, SID_MAX + 1), "129 are not");
	ok(sid_valid("selfish", 7) && !sid_valid("selfish", 4), "only the length given counts");

	/* Computed with another implementation of BLAKE2b (Python's hashlib, digest_size=32). */
	sid_hash("abc", name);
	is_str(name, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
	       "the store's name is BLAKE2b-256 in hex");
	sid_hash("Abc", other);
	ok(strcmp(name, other) != 0, "sids that differ in case have different names");

	ok(release_valid("v1.2.3+build-7_x", 16), "a release may have . _ + -");
	ok(release_valid(".", 1) && release_valid("self", 4), "and is no path, so \".\" will do");
	ok(release_valid(long_sid, RELEASE_MAX) && !release_valid(long_sid, RELEASE_MAX + 1), "64 characters, not 65");
	ok(!release_valid("", 0) && !release_valid("a b", 3) && !release_valid("a/b", 3) && !release_valid("a\0", 2),
	   "neither nothing, nor a space, a slash or a NUL");
	return tap_done();
}
