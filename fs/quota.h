/* SPDX-License-Identifier: MIT */
/*
 * What live sessions use, against what they may: accounts in memory, over the ledgers in the store.
 *
 * The rule is never to count less than is there. So what grows is taken before the operation and what was not needed is
 * given back after it; what shrinks is given back after it. An account spends from a grant that its line in the ledger
 * (ledger.h) already tells the other instances of, and goes to the store only when that is used up: grants are what the
 * request needs and an eighth of what is left then, at most GRANT_BYTES. So with no other instance a
 * session can be filled to the last byte, and with others it is never filled beyond. Threads give back what lies idle
 * after a second, renew the lines of accounts in use, and count trees anew where a crash left a line that is not exact.
 *
 * An account is guarded by its own mutex, held across calls to the store where a grant is asked for: who waits for it
 * uses the same session, and would wait for the same store. The table's mutex is not.
 *
 * Knows nothing of FUSE. Functions that may go to the store need the daemon's own identity, and say so.
 */
#ifndef SESSIONFS_QUOTA_H
#define SESSIONFS_QUOTA_H

#include "ledger.h"
#include "proto/limits.h"

#define GRANT_BYTES (INT64_C(64) << 20)
#define GRANT_FILES INT64_C(1024)

struct quota;
struct account;

/*
 * instance names this daemon's lines; borrowed, as the store is. l is what the configuration sets. NULL without memory.
 * quota_start() makes the threads.
 */
struct quota *quota_new(struct store *s, const char *instance, const struct limits *l);
int quota_start(struct quota *q);

/* Ends the threads, and writes what is used to the ledgers: all files that were held are closed by now. NULL is fine. */
void quota_free(struct quota *q);

/* Whether there is a ledger of this session already: then it is counted, whoever is bound. Goes to the store. */
bool quota_is_counted(struct quota *q, const char *name);

/*
 * The account of a session, by its name in the store, with a reference. What was there before anything was counted is
 * counted now; l->user_bytes or user_files: in all sessions of the user. Goes to the store. 0, -ENOMEM, or its errno.
 */
int quota_account(struct quota *q, const char *name, const char *sub, const struct limits *l, struct account **ret);
void quota_ref(struct account *a);
void quota_put(struct account *a); /* NULL is fine; what is not written yet is written by a thread */

/* A session that is gone from the store: nothing is written for it any more, and its name is free for a new one. */
void quota_retire(struct account *a);

/*
 * Takes bytes and files before something grows: all files, and of the bytes what fits, but not less than least. Returns
 * the bytes; -EDQUOT; or the store's errno where no grant could be written (-ENOSPC). May go to the store.
 */
int64_t quota_take(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files);

/* The same where no grant has to be asked for; false otherwise, and nothing is taken. Never goes to the store. */
bool quota_take_granted(struct account *a, const struct limits *l, int64_t bytes, int64_t files);

/* Before something shrinks or goes: while that is under way, no count may rely on it. Never blocks for long. */
void quota_expect(struct account *a, int64_t bytes, int64_t files);

/*
 * After the operation: of what was taken, or expected to go, so much is there now; the rest is given back. More may be
 * there than was taken, where something turns up that nobody had counted. Each quota_take() and quota_expect() is
 * settled once.
 */
void quota_settle(struct account *a, int64_t bytes, int64_t files, int64_t kept_bytes, int64_t kept_files);

/* Of what is taken, this much more (or less) is in files without a name. */
void quota_hold(struct account *a, int64_t bytes, int64_t files);

/* For df: limit and left of bytes and files, LIMIT_NONE where there is none. May go to the store; 0 or -errno. */
struct quota_report {
	struct usage limit, left;
};
int quota_report(struct account *a, const struct limits *l, struct quota_report *ret);

/* What this instance's line says now, and whether an account waits to be counted; for tests. */
struct ledger_line quota_line(struct account *a, bool *unsure);

/* One round of the threads, at a monotonic time in ms; for tests, which have none. */
void quota_step(struct quota *q, int64_t now);
void quota_count(struct quota *q, int64_t now);

/* Whether a line that is not exact is a dead instance's (see ledger.h). */
typedef bool quota_dead_fn(void *ctx, const char *instance, const struct ledger_line *line);

/*
 * Counts a session of which nothing is live here, and puts its base right. The lines of dead instances are made exact;
 * NULL: of none is it known. *was and *is, where not NULL: what the ledger said, and says. 0 or -errno.
 */
int quota_recount(struct store *s, const char *name, quota_dead_fn *dead, void *ctx, struct usage *was,
		  struct usage *is);

#endif
