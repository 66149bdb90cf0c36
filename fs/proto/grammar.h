/* SPDX-License-Identifier: MIT */
/*
 * The grammar of the control files: one write is one line.
 *
 *     line    = verb *( " " word ) LF          at most CONTROL_LINE_MAX bytes with the LF
 *     bind    = "bind" SP token [ SP "release=" ID ]
 *     unbind  = "unbind"
 *     revoke  = "revoke" SP sid      drop = "drop" SP sid      reload = "reload"
 *
 * Single spaces, no other white space, no NUL, nothing after the LF. Which verbs a file takes is a mask.
 * A token is any run of printable ASCII without a space here (too long a token is the token's fault, not the line's).
 * Pure: points into the caller's bytes, copies nothing.
 */
#ifndef SESSIONFS_GRAMMAR_H
#define SESSIONFS_GRAMMAR_H

#include <stddef.h>

#define CONTROL_LINE_MAX 8192

enum verb { VERB_BIND = 1, VERB_UNBIND = 2, VERB_REVOKE = 4, VERB_DROP = 8, VERB_RELOAD = 16 };

struct command {
	enum verb verb;
	const char *arg; /* token or sid, not NUL-terminated; NULL where the verb has none */
	size_t arg_len;
	const char *release; /* NULL when not given */
	size_t release_len;
};

/* Parses len bytes as one command among the verbs in mask. 0 or -EINVAL; *ret is written only on 0. */
int grammar_parse(const char *line, size_t len, unsigned mask, struct command *ret);

#endif
