/* SPDX-License-Identifier: MIT */
/*
 * What one session uses: the numbers of this instance, over its line in the session's ledger (ledger.h).
 *
 * The rule is never to count less than is there. So what grows is taken before the operation, and what was not needed is
 * given back after it; what shrinks, goes or moves is expected before, and settled after. An account spends from a grant
 * that its line already tells the other instances of, and goes to the store only when that is used up, or when the line
 * is closed. Grants are what the request needs and an eighth of what is left then, at most GRANT_BYTES: so with no other
 * instance a session can be filled to the last byte, and with others it is never filled beyond.
 *
 * Two instances that cut or remove one file in the same moment may both believe that they freed its bytes; and one that
 * writes where it saw the file's end beyond may find it cut, and make it as large again without knowing. So who writes has
 * its line open as well, and what was freed counts until a look at the others that began after it and soon: where a line
 * was open then, it is counted again when there is quiet, and until then no more than as much as the limit of it can be
 * used again.
 *
 * Two mutexes. `ledger` is held across calls to the store: what is read and written there, one at a time. `lock` guards the
 * numbers, is taken after it, and is never held across a call that may block; so who finds a grant waits for no store.
 *
 * Functions that may go to the store say so: they need the daemon's own identity.
 */
#ifndef SESSIONFS_ACCOUNT_H
#define SESSIONFS_ACCOUNT_H

#include <pthread.h>
#include <stdatomic.h>

#include "ledger.h"
#include "proto/limits.h"
#include "witness.h"

#define GRANT_BYTES (INT64_C(64) << 20)
#define GRANT_FILES INT64_C(1024)

/* Who writes the lines: this instance, in this run of it. */
struct writer {
	struct store *store;
	const char *instance, *run; /* borrowed, as is the store */
	struct limits limits;       /* the configuration's */
	atomic_int_least64_t beat;  /* ms: before the last heartbeat was written; 0: none yet */
	atomic_int_least64_t since; /* ms: the first of those that followed each other in time */
};

struct account {
	struct writer *writer;
	int dir; /* owned O_PATH of the session's directory, and what identifies that while it is held */
	uint64_t dev, ino;
	char name[SID_HASH_LEN + 1], user[SID_HASH_LEN + 1];

	pthread_mutex_t ledger; /* guards these: */
	bool loaded;            /* changed with both mutexes */
	bool known;             /* the line in the store is that of `version` */
	uint64_t version;       /* of the line that was written last */

	pthread_mutex_t lock; /* guards these: */
	bool counted;         /* what was there before anybody counted is in the base; until then nothing grows */
	bool limited_user;    /* somebody asked for limits of the user; then: */
	bool user_counted;    /* the same of all his sessions */
	bool unsure;          /* the tree is to be counted: after a crash, damage, or what two may have freed */
	bool gone;            /* from the store, for good */
	bool open;            /* so is the line */
	bool touched, dirty;  /* since the last round; since the line was written */
	struct usage used, granted, held;
	struct usage away;     /* of used: what operations under way have taken or may remove */
	unsigned under_way;    /* operations */
	uint64_t changes;      /* begun */
	int64_t freed;         /* bytes of used: gone, and not looked after yet */
	int64_t freed_at;      /* ms: the first of them */
	int64_t cap;           /* the lowest limit that they were freed under */
	int64_t doubtful;      /* bytes freed while another had its line open, since the last count */
	struct usage others;   /* base and grants of the others, as last read */
	struct usage siblings; /* the same of all sessions of the user, this one's others too */
	int64_t written;       /* ms, before the line was last written */
	int64_t looked, looked_user;
	uint64_t stamp; /* of the others' lines, at the last look */
	uint64_t gives; /* how often something was given back */
	int64_t count_after;
	unsigned counts_left; /* what began without the account may outlast the first count: then there is another */
	unsigned failures;    /* of counts, in a row */
	struct {              /* a refusal that still holds */
		int64_t at;
		struct limits limits;
		int64_t bytes, files;
		uint64_t gives;
		bool by_user;
	} refused;

	/* the table's (quota.c), and guarded by its lock */
	struct quota *quota;
	unsigned refs;
	bool linked;
	struct account *next;          /* in its bucket */
	struct account *newer, *older; /* in the ring of its user */
};

/* Milliseconds that go on while the machine sleeps, as a lease does. */
int64_t account_now(void);

/* dup()s dir. NULL: -ENOMEM. */
struct account *account_new(struct writer *w, const char *name, const char *user, int dir);
void account_free(struct account *a);

/* With a->ledger: reads what the ledger has of this instance, once. May go to the store. 0 or -errno. */
int account_load(struct account *a);

/*
 * Takes bytes and files before something grows: all files, and of the bytes what fits, but not less than least. Returns
 * the bytes; -EDQUOT; or the store's errno where no grant could be written (-ENOSPC). -EUSERS: it is the user's limit, and
 * may fit when his other sessions have given back what is idle; asked `again` that is -EDQUOT. May go to the store.
 */
int64_t account_take(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files,
		     bool again);

/* The same where no grant has to be asked for; false otherwise, and nothing is taken. Never goes to the store. */
bool account_take_granted(struct account *a, const struct limits *l, int64_t bytes, int64_t files);

/* After it: so much of what was taken is there, and of that so much has no name. Once for each that was taken. */
void account_settle(struct account *a, const struct usage *taken, const struct usage *kept, const struct usage *held);

/*
 * Before something shrinks or goes (by so much at most) or moves: opens the line, and while this is under way no count
 * relies on the tree. May go to the store. What must not fail where a disk is full does not: then the tree is counted.
 * _open: only where the line is open; false otherwise. Never goes to the store.
 */
void account_expect(struct account *a, const struct usage *most);
bool account_expect_open(struct account *a, const struct usage *most);

/*
 * After it: so much went, and the part of what is there that has no name changed by `held`. Once for each. l: of the
 * request, where another instance may have freed the same; NULL: it can't.
 */
void account_went(struct account *a, const struct limits *l, const struct usage *most, const struct usage *went,
		  const struct usage *held);

/* What is there without a name turns up, or is larger than was known: another instance had it, or it was not counted. */
void account_find(struct account *a, const struct usage *more, const struct usage *held);

/* For df: limit and left of bytes and files, LIMIT_NONE where there is none. May go to the store; 0 or -errno. */
struct account_report {
	struct usage limit, left;
};
int account_report(struct account *a, const struct limits *l, struct account_report *ret);

/* ---- for the threads; all go to the store ---- */

/* Closes the line of an account that nobody used since the last call; writes that of another anew now and then. */
void account_step(struct account *a);

/* Gives back what is granted and not used, for another session of the same user. */
void account_give_back(struct account *a);

/* Counts the tree, of up to `most` names (0: any number). 0; -E2BIG; -EAGAIN or -EBUSY: in use; -errno. */
int account_count(struct account *a, struct witness *w, uint64_t most);

/* The same where a->ledger is held, of a session of which nothing is in use. */
int account_count_now(struct account *a, struct witness *w, uint64_t most);

/* Closes the line for good: the files that were held are closed. 0 or -errno. */
int account_finish(struct account *a);

/* Whether it may be forgotten: nothing is left to be written. */
bool account_is_settled(struct account *a);

#endif
