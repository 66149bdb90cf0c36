/* SPDX-License-Identifier: MIT */
#include "grammar.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "../util.h"
#include "sid.h"

#define WORDS_MAX 3
#define RELEASE "release="

struct word {
	const char *s;
	size_t len;
};

static bool word_is(struct word w, const char *s)
{
	return w.len == strlen(s) && memcmp(w.s, s, w.len) == 0;
}

/* Cuts s at single spaces into printable words. Their number, or -EINVAL. */
static int split(const char *s, size_t len, struct word words[static WORDS_MAX])
{
	int n = 0;

	for (const char *end = s + len;;) {
		const char *start = s;
		while (s<end && * s> ' ' && *s <= '~')
			s++;
		if (s == start || n == WORDS_MAX)
			return -EINVAL;
		words[n++] = (struct word){start, (size_t)(s - start)};
		if (s == end)
			return n;
		if (*s++ != ' ')
			return -EINVAL;
	}
}

static int parse_bind(const struct word *args, int n, struct command *ret)
{
	const size_t skip = strlen(RELEASE);

	if (n < 1)
		return -EINVAL;
	ret->arg = args[0].s;
	ret->arg_len = args[0].len;
	if (n == 1)
		return 0;
	if (args[1].len < skip || memcmp(args[1].s, RELEASE, skip) != 0 ||
	    !release_valid(args[1].s + skip, args[1].len - skip))
		return -EINVAL;
	ret->release = args[1].s + skip;
	ret->release_len = args[1].len - skip;
	return 0;
}

static int parse_sid(const struct word *args, int n, struct command *ret)
{
	if (n != 1 || !sid_valid(args[0].s, args[0].len))
		return -EINVAL;
	ret->arg = args[0].s;
	ret->arg_len = args[0].len;
	return 0;
}

static int parse_none(const struct word *args, int n, struct command *ret)
{
	(void)args;
	(void)ret;
	return n == 0 ? 0 : -EINVAL;
}

static const struct {
	const char *name;
	enum verb verb;
	int (*parse)(const struct word *args, int n, struct command *ret);
} verbs[] = {
	{"bind", VERB_BIND, parse_bind}, {"unbind", VERB_UNBIND, parse_none}, {"revoke", VERB_REVOKE, parse_sid},
	{"drop", VERB_DROP, parse_sid},  {"reload", VERB_RELOAD, parse_none},
};

int grammar_parse(const char *line, size_t len, unsigned mask, struct command *ret)
{
	struct word words[WORDS_MAX];

	if (len < 1 || len > CONTROL_LINE_MAX || line[len - 1] != '\n')
		return -EINVAL;
	int n = split(line, len - 1, words);
	if (n < 0)
		return n;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		struct command c = {.verb = verbs[i].verb};
		if (!(mask & verbs[i].verb) || !word_is(words[0], verbs[i].name))
			continue;
		if (verbs[i].parse(words + 1, n - 1, &c))
			return -EINVAL;
		*ret = c;
		return 0;
	}
	return -EINVAL;
}
