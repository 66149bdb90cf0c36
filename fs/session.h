/* SPDX-License-Identifier: MIT */
/*
 * Live sessions: those that are bound, or that the kernel holds nodes of.
 *
 * A session is found by its sid and stands for one owner (sub). It carries what is true of the session as a whole;
 * when a holder's right ends is the binding's business. Numbers are never used again, so a session that was dropped
 * and one made later under the same sid are different sessions: nothing of the first leads into the second.
 *
 * One mutex guards the table. A `struct session *` is valid while its holder has a reference; what is not atomic in
 * it does not change while there is one.
 */
#ifndef SESSIONFS_SESSION_H
#define SESSIONFS_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quota.h"
#include "store.h"

struct session_table;

struct session {
	uint64_t id;
	char sid[SID_MAX + 1];
	char name[SID_HASH_LEN + 1]; /* of its directory in the store */
	char sub[SUB_MAX + 1];
	int dir; /* owned O_PATH of that very directory, wherever another instance moved it; -1 in tests */

	atomic_bool revoked;               /* for good: nothing of it is served any more */
	atomic_bool untold;                /* the kernel, that its name is not its own any more: reaper.c */
	atomic_bool bare;                  /* its owner removed data/, here: the next bind makes it again */
	atomic_int_least64_t used;         /* Unix seconds of the last bind or unbind; moved on while it is bound */
	atomic_int_least64_t stored;       /* what meta.json has of it at least */
	atomic_int_least64_t expires;      /* the latest exp of a token that was bound */
	atomic_int_least64_t held;         /* when somebody was seen to be bound to it last */
	atomic_int_least64_t asked;        /* when the store was asked last whether it is counted */
	_Atomic(struct account *) account; /* a reference; set once, where what it has is counted; else NULL */
	char release[RELEASE_MAX + 1];     /* table lock: read with session_release() */

	/* table lock */
	bool mixed; /* more than one release has served it */
	bool dirty; /* meta.json is behind; holds a reference until it is not */
	uint32_t refs;
	uint32_t chain;
};

/* For max sessions, each of which keeps a descriptor, and 262144 at most. NULL without memory. */
struct session_table *session_table_new(unsigned max);
void session_table_free(struct session_table *t);

/* How many are live. */
unsigned session_table_live(struct session_table *t);

/*
 * The live session of a sid, made where there is none. Returns a reference. NULL when the table is full, or when the
 * sid is live with another sub (the store has decided ownership before this is called: then it is a stale one). dir is
 * its directory in the store: a session keeps the one that it began with, since behind the name another instance may
 * have put another user's.
 */
struct session *session_enter(struct session_table *t, const char *sid, const char *sub, int dir /* consumed */);

/* A reference to a live session by its id or its name in the store, NULL if it is not live. */
struct session *session_find(struct session_table *t, const char *sid);
struct session *session_find_name(struct session_table *t, const char *name);
struct session *session_get(struct session_table *t, uint64_t id);

void session_ref(struct session_table *t, struct session *s);
void session_put(struct session_table *t, struct session *s); /* NULL is fine */
void session_put_id(struct session_table *t, uint64_t id);

/*
 * Notes that the session was used, and marks it dirty: it then stays in the table, bound or not, until
 * session_clean() says that meta.json was written. session_clean() returns whether it was dirty.
 */
void session_touch(struct session_table *t, struct session *s, int64_t now);
bool session_clean(struct session_table *t, struct session *s);

/* Notes a bind: session_touch(), expires (if later), and release (if named). */
void session_bound(struct session_table *t, struct session *s, int64_t now, int64_t exp, const char *release);

/* The release that served it last, "" for none; true when others did so before. And what the store knows of that. */
bool session_release(struct session_table *t, const struct session *s, char release[static RELEASE_MAX + 1]);
void session_recall(struct session_table *t, struct session *s, const char *release);

/* Gives a session its account (a reference, consumed), unless it has one. */
void session_count(struct session *s, struct account *a);

/*
 * Takes a dropped session out of the table's names, so that its sid can be bound anew. Its numbers stay known to its
 * holders.
 */
void session_retire(struct session_table *t, struct session *s);

/* The next session after slot *at (0 to begin) with a reference, NULL at the end: for walks that may be slow. */
struct session *session_next(struct session_table *t, uint32_t *at);

/*
 * The same of those that nobody has used, or been bound to, for a while at `now` (Unix seconds): they live because the kernel
 * remembers their names. None as long as no more than half of what there is room for is live.
 */
#define SESSION_UNUSED 60 /* seconds */
struct session *session_next_unused(struct session_table *t, uint32_t *at, int64_t now);

#endif
