/* SPDX-License-Identifier: MIT */
/*
 * meta.json: who owns a session, as a plain value and as text. No fds, no clock.
 *
 *     {"version":3,"sub":"ada@example.org","sid":"f3…","created":"2026-01-31T09:00:00Z","expires":"…","last_used":"…",
 *      "release":"2026.01","revoked":true}
 *
 * Times are RFC 3339. A time of 0, an empty release and `revoked` false are left out. Keys of later releases are
 * ignored.
 */
#ifndef SESSIONFS_META_H
#define SESSIONFS_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/claims.h"
#include "proto/sid.h"

#define META_SIZE_MAX 16384 /* bytes of a meta.json; far more than any that we write */

struct meta {
	uint64_t version; /* one more at each update */
	char sub[SUB_MAX + 1];
	char sid[SID_MAX + 1];
	int64_t created, expires, last_used; /* Unix seconds; 0 is "never" */
	char release[RELEASE_MAX + 1];       /* "" when none was named */
	bool revoked;                        /* or removed: a tombstone */
	int64_t revoked_at;                  /* not in the text: the store knows it by the mark; 0 where it does not */
};

/* All of len bytes. 0; -EUCLEAN for what we did not write, or only half of it; -ENOMEM. */
int meta_parse(const char *text, size_t len, struct meta *ret);

/* One line, owned by the caller. 0; -EINVAL for a meta that meta_parse() would refuse; -ENOMEM. */
int meta_format(const struct meta *m, char **ret, size_t *len);

#endif
