/* SPDX-License-Identifier: MIT */
/*
 * The accounts of the sessions that are in use (account.h), and the threads that keep them: one closes the lines of what
 * lies idle after a second, the other counts trees, where nobody has yet or a crash left a doubt.
 *
 * Knows nothing of FUSE. Functions that may go to the store need the daemon's own identity, and say so.
 */
#ifndef SESSIONFS_QUOTA_H
#define SESSIONFS_QUOTA_H

#include "account.h"

struct quota;

/*
 * instance names this daemon's lines, and run this life of it; borrowed, as the store is. l is what the configuration
 * sets. NULL without memory. quota_start() makes the threads.
 */
struct quota *quota_new(struct store *s, const char *instance, const char *run, const struct limits *l);
int quota_start(struct quota *q);

/* Ends the threads, and closes the lines: all files that were held are closed by now. */
void quota_stop(struct quota *q);
void quota_free(struct quota *q); /* NULL is fine */

/* A heartbeat was written, after this time (account_now()): for LEDGER_LEASE grants are good. */
void quota_beat(struct quota *q, int64_t before);

/*
 * Whether a session, by its directory and its user, is counted by others, or to be: then it is by all, whoever is bound.
 * Goes to the store.
 */
bool quota_is_counted(struct quota *q, int dir, const char *sub);

/*
 * The account of a session, by its directory (which may be O_PATH) and its name in the store, with a reference. l->user_bytes
 * or user_files: in all sessions of the user. live: there may be operations that know of no account yet; what they do is
 * counted in a moment.
 *
 * Where nobody has counted what is there, up to QUOTA_COUNTED_AT_ONCE names are counted here, and more by the thread;
 * until then the session can't grow. Goes to the store. 0, -ENOMEM, or its errno.
 */
#define QUOTA_COUNTED_AT_ONCE 4096
int quota_account(struct quota *q, int dir, const char *name, const char *sub, const struct limits *l, bool live,
		  struct account **ret);
void quota_ref(struct account *a);
void quota_put(struct account *a); /* NULL is fine; what is not written yet is written by a thread */

/* A session that is gone from the store: nothing is written for it any more. NULL is fine. */
void quota_retire(struct account *a);

/* account_take(), with what other sessions of the user here leave idle. */
int64_t quota_take(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files);

/* One round of each thread, for tests, which have none; at account_now(). */
void quota_step(struct quota *q);
void quota_count(struct quota *q, int64_t now);

#endif
