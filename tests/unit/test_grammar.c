/* SPDX-License-Identifier: MIT */
#include "proto/grammar.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/sid.h"
#include "tap.h"
#include "util.h"

#define BINDING (VERB_BIND | VERB_UNBIND)
#define ADMIN (VERB_REVOKE | VERB_DROP | VERB_RELOAD)

static const struct {
	const char *line;
	unsigned mask;
	enum verb verb;
	const char *arg, *release;
} good[] = {
	{"bind v4.public.x\n", BINDING, VERB_BIND, "v4.public.x", NULL},
	{"bind v4.public.x.y release=v1.2+b_3-4\n", BINDING, VERB_BIND, "v4.public.x.y", "v1.2+b_3-4"},
	{"bind rubbish!\"~\n", BINDING, VERB_BIND, "rubbish!\"~", NULL},
	{"bind release=1\n", BINDING, VERB_BIND, "release=1", NULL},
	{"bind bind\n", BINDING, VERB_BIND, "bind", NULL},
	{"unbind\n", BINDING, VERB_UNBIND, NULL, NULL},
	{"revoke s1\n", ADMIN, VERB_REVOKE, "s1", NULL},
	{"drop -x.y_Z\n", ADMIN, VERB_DROP, "-x.y_Z", NULL},
	{"reload\n", ADMIN, VERB_RELOAD, NULL, NULL},
};

#define LINE(s) s, sizeof(s) - 1

static const struct {
	const char *why, *line;
	size_t len;
	unsigned mask;
} refused[] = {
	{"nothing", LINE(""), BINDING},
	{"a newline alone", LINE("\n"), BINDING},
	{"no newline", LINE("unbind"), BINDING},
	{"no newline after a token", LINE("bind x"), BINDING},
	{"two lines", LINE("unbind\nunbind\n"), BINDING},
	{"an empty second line", LINE("unbind\n\n"), BINDING},
	{"bytes after the newline", LINE("unbind\nx"), BINDING},
	{"a carriage return", LINE("unbind\r\n"), BINDING},
	{"a tab between words", LINE("bind\tx\n"), BINDING},
	{"two spaces", LINE("bind  x\n"), BINDING},
	{"a space in front", LINE(" unbind\n"), BINDING},
	{"a space at the end", LINE("unbind \n"), BINDING},
	{"a space after the token", LINE("bind x \n"), BINDING},
	{"a NUL", LINE("bind x\0\n"), BINDING},
	{"a NUL for the newline", LINE("unbind\0"), BINDING},
	{"a DEL", LINE("bind x\x7f\n"), BINDING},
	{"a byte over 127", LINE("bind \xc3\xa9\n"), BINDING},
	{"capitals", LINE("BIND x\n"), BINDING},
	{"an unknown verb", LINE("rebind x\n"), BINDING},
	{"a verb's beginning", LINE("bin x\n"), BINDING},
	{"a verb and more", LINE("bindx x\n"), BINDING},
	{"bind without a token", LINE("bind\n"), BINDING},
	{"bind with an empty token", LINE("bind \n"), BINDING},
	{"bind with two tokens", LINE("bind x y\n"), BINDING},
	{"an empty release", LINE("bind x release=\n"), BINDING},
	{"a release with a slash", LINE("bind x release=a/b\n"), BINDING},
	{"a release with another sign", LINE("bind x release=a=b\n"), BINDING},
	{"a release of 65", LINE("bind x release=0123456789012345678901234567890123456789012345678901234567890123x\n"),
	 BINDING},
	{"two releases", LINE("bind x release=a release=b\n"), BINDING},
	{"an unknown option", LINE("bind x version=a\n"), BINDING},
	{"RELEASE=", LINE("bind x RELEASE=a\n"), BINDING},
	{"a fourth word", LINE("bind x release=a y\n"), BINDING},
	{"unbind with a word", LINE("unbind x\n"), BINDING},
	{"reload with a word", LINE("reload x\n"), ADMIN},
	{"revoke without a sid", LINE("revoke\n"), ADMIN},
	{"revoke with two", LINE("revoke a b\n"), ADMIN},
	{"revoke of a path", LINE("revoke ../x\n"), ADMIN},
	{"drop of self", LINE("drop self\n"), ADMIN},
	{"drop of a handle", LINE("drop ~x\n"), ADMIN},
	{"bind where only admin verbs are taken", LINE("bind x\n"), ADMIN},
	{"revoke where only bindings are taken", LINE("revoke x\n"), BINDING},
	{"anything where nothing is taken", LINE("unbind\n"), 0},
};

static int is_part(const char *part, size_t len, const char *want)
{
	return want ? part && len == strlen(want) && memcmp(part, want, len) == 0 : part == NULL;
}

int main(void)
{
	char line[CONTROL_LINE_MAX + 1];
	struct command c;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		size_t len = strlen(good[i].line);
		int r = grammar_parse(good[i].line, len, good[i].mask, &c);
		ok(r == 0 && c.verb == good[i].verb && is_part(c.arg, c.arg_len, good[i].arg) &&
			   is_part(c.release, c.release_len, good[i].release),
		   "taken: %.*s", (int)len - 1, good[i].line);
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		/* A copy of exactly that size, so that the address sanitizer sees a byte read beyond it. */
		_cleanup_free_ char *exact = malloc(refused[i].len ? refused[i].len : 1);
		memcpy(exact, refused[i].line, refused[i].len);
		memset(&c, 0x5a, sizeof(c));
		struct command before = c;
		int r = grammar_parse(exact, refused[i].len, refused[i].mask, &c);
		ok(r == -EINVAL && memcmp(&before, &c, sizeof(c)) == 0, "refused: %s", refused[i].why);
	}

	memset(line, 'x', sizeof(line));
	memcpy(line, "bind ", 5);
	line[CONTROL_LINE_MAX - 1] = '\n';
	ok(grammar_parse(line, CONTROL_LINE_MAX, BINDING, &c) == 0 && c.arg_len == CONTROL_LINE_MAX - 6,
	   "a line of 8192 bytes is taken, and the token's own length is not its concern");
	line[CONTROL_LINE_MAX - 1] = 'x';
	line[CONTROL_LINE_MAX] = '\n';
	is_int(grammar_parse(line, CONTROL_LINE_MAX + 1, BINDING, &c), -EINVAL, "one of 8193 is not");
	return tap_done();
}
