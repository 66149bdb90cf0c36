/* SPDX-License-Identifier: MIT */
/*
 * Whatever the bytes are, as a line for a control file. What must hold: a command that is accepted, written in the one
 * spelling that the grammar has, is the line again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/grammar.h"
#include "proto/sid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *verb_name(enum verb v)
{
	switch (v) {
	case VERB_BIND: return "bind";
	case VERB_UNBIND: return "unbind";
	case VERB_REVOKE: return "revoke";
	case VERB_DROP: return "drop";
	case VERB_RELOAD: return "reload";
	}
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[CONTROL_LINE_MAX + 32];
	struct command c;

	if (grammar_parse((const char *)data, size, 0, &c) == 0)
		abort(); /* no verb is allowed */
	if (grammar_parse((const char *)data, size, ~0u, &c))
		return 0;
	int n = snprintf(line, sizeof(line), "%s%s%.*s%s%.*s\n", verb_name(c.verb), c.arg ? " " : "", (int)c.arg_len,
			 c.arg ? c.arg : "", c.release ? " release=" : "", (int)c.release_len,
			 c.release ? c.release : "");
	if ((size_t)n != size || memcmp(line, data, size) != 0)
		abort();
	if (c.verb & (VERB_REVOKE | VERB_DROP) && !sid_valid(c.arg, c.arg_len))
		abort();
	return 0;
}
