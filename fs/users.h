/* SPDX-License-Identifier: MIT */
/*
 * Which sessions a user has: an empty file for each, made before the session is and taken away after it.
 *
 *     users/ab/<user>/<name>       user: hex BLAKE2b-256 of the sub; name: of the session's directory
 *     users/ab/<user>/limited      somebody limits the sum of them
 *
 * So a name without a session means nothing, and a session without a name is one from before there were users here; the
 * next bind adds it. Stateless; the rules are those of store.h.
 */
#ifndef SESSIONFS_USERS_H
#define SESSIONFS_USERS_H

#include "store.h"

void user_hash(const char *sub, char user[static SID_HASH_LEN + 1]);

/*
 * Adds a session to its user's, where it is not among them: *fresh. With a new one he may have at most max (LIMIT_NONE:
 * any number) or it is taken back: -EDQUOT. Exact among instances: each adds, and then counts. -errno.
 */
int users_enter(struct store *s, const char *sub, const char *name, int64_t max, bool *fresh);

/*
 * Notes that somebody has limited all of a user's sessions together: so all are counted, whoever is bound. And whether that
 * is so. 0 or -errno.
 */
int users_limit(struct store *s, const char *sub);
bool users_is_limited(struct store *s, const char *sub);

/* Takes a session from its user. 0 or -errno. */
int users_leave(struct store *s, const char *sub, const char *name);

/* Calls visit with the name of each session of a user until it returns non-zero, which is returned. -errno. */
typedef int users_visit_fn(void *ctx, const char *name);
int users_each(struct store *s, const char *user, users_visit_fn *visit, void *ctx);

#endif
