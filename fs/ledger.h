/* SPDX-License-Identifier: MIT */
/*
 * What a session uses, as the instances over one store tell each other.
 *
 *     sessions/ab/<name>/usage/     made with the first file in it
 *         <instance>.json           what this instance added and took away, in all (it may be less than nothing), and how
 *                                   far it may go before it asks again: its grant
 *         base                      what nobody's line accounts for: found by counting the tree
 *
 * The session never has more than base and all grants together. An instance that needs more writes its line with the
 * larger grant first, and then reads all the others: of two that do so at once each writes before it reads, so at least
 * one sees the other, and they never both pass (quota.c takes the grant back where the sum is too large). No locks, and
 * no file that two instances write, but for base, where the last one wins and both are right.
 *
 * A user has no ledger of his own: what he uses is the sum over his sessions. So nothing has to be given back when a
 * session is removed, and one count of a tree repairs both.
 *
 * A line is exact when the instance had nothing under way: grant and use are one, and if it died then nothing is lost.
 * A line that is not exact says how much at most. The line of an instance that lives is written anew each second while
 * it is not exact (quota.c); one that stands still for LEDGER_DEAD ms is that of a dead one. An instance that could not
 * write for LEDGER_LEASE ms uses no grant any more.
 *
 * Stateless; files follow the rules of store.h; calls block as long as the filesystem does. They need the daemon's own
 * identity.
 */
#ifndef SESSIONFS_LEDGER_H
#define SESSIONFS_LEDGER_H

#include "heartbeat.h"
#include "store.h"

#define LEDGER_LEASE 4000
#define LEDGER_DEAD 7000

struct usage {
	int64_t bytes, files;
};

struct ledger_line {
	uint64_t version;
	bool exact;
	struct usage used, granted;
	struct usage held; /* of used: unlinked but open still, so that no tree has it */
};

struct ledger_sum {
	bool there;       /* a line or a base: the session is counted */
	unsigned lines;   /* of others than `mine` */
	unsigned loose;   /* of those, how many are not exact */
	unsigned garbage; /* files that nobody could have written, a base or a line of mine among them */
	bool has_mine;    /* and then: */
	struct ledger_line mine;
	struct usage base; /* these are sums over the others */
	struct usage used, granted, held;
};

/* For each line as it is read; NULL for one that is garbage. Non-zero ends the reading and is returned. */
typedef int ledger_line_fn(void *ctx, const char *instance, const struct ledger_line *line);

/*
 * Reads the ledger of a session by its name. mine is the instance whose line is kept apart, or NULL; each may be NULL.
 * 0, also where there is no ledger; -ENOENT: no such session; -errno of the filesystem.
 */
int ledger_read(struct store *s, const char *name, const char *mine, ledger_line_fn *each, void *ctx,
		struct ledger_sum *ret);

/* Replaces the line of an instance, or the base. Makes usage/ where there is none. 0, -ENOENT (no session), -errno. */
int ledger_write(struct store *s, const char *name, const char *instance, const struct ledger_line *line);
int ledger_write_base(struct store *s, const char *name, const struct usage *base);

/* Removes what is garbage, and temporaries of crashed writes. */
int ledger_clear(struct store *s, const char *name);

/* base and grants over all sessions of a user, without the line of `mine` in the session `name` (which may be NULL). */
int ledger_user(struct store *s, const char *user, const char *name, const char *mine, struct usage *ret);

/* The sum that is shown: base and what all used, as last written; never below 0. */
struct usage ledger_total(const struct ledger_sum *sum);

#endif
