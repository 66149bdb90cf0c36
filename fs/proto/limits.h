/* SPDX-License-Identifier: MIT */
/*
 * How much a session and a user may have: what the configuration sets, and a token may lower. Pure.
 *
 * Bytes are the sizes of regular files, once for each of their names; files are all names below the session's root,
 * directories too. LIMIT_NONE is no limit, and greater than each one, so that the lower of two is the one that counts.
 */
#ifndef SESSIONFS_LIMITS_H
#define SESSIONFS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_NONE INT64_MAX
#define LIMIT_MAX (INT64_C(1) << 60) /* of what is configured: sums of some never overflow */

/* Each is a key of [limits] and a claim of the same name. */
#define LIMITS(X) X(session_bytes) X(session_files) X(file_bytes) X(user_bytes) X(user_files) X(user_sessions)

struct limits {
#define X(name) int64_t name;
	LIMITS(X)
#undef X
};

static inline struct limits limits_none(void)
{
	struct limits l;
#define X(name) l.name = LIMIT_NONE;
	LIMITS(X)
#undef X
	return l;
}

static inline struct limits limits_lower(const struct limits *a, const struct limits *b)
{
	struct limits l;
#define X(name) l.name = a->name < b->name ? a->name : b->name;
	LIMITS(X)
#undef X
	return l;
}

static inline bool limits_any(const struct limits *l)
{
#define X(name) l->name != LIMIT_NONE ||
	return LIMITS(X) false;
#undef X
}

static inline bool limits_of_user(const struct limits *l)
{
	return l->user_bytes != LIMIT_NONE || l->user_files != LIMIT_NONE;
}

#endif
