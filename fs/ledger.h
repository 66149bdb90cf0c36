/* SPDX-License-Identifier: MIT */
/*
 * What a session uses, as the instances over one store tell each other.
 *
 *     sessions/ab/<name>/usage/     made with the first file in it
 *         <instance>.json           what this instance added and took away, in all (it may be less than nothing), and how
 *                                   far it may go before it asks again: its grant
 *         base                      what nobody's line accounts for: found by counting the tree
 *         doubt                     while it is there, somebody asks for a count
 *
 * The session never has more than base and all grants together. An instance that needs more writes its line with the
 * larger grant first, and then reads all the others: of two that do so at once each writes before it reads, so at least
 * one sees the other, and they never both pass (account.c takes the grant back where the sum is too large). No locks, and
 * no file that two instances write, but for base, where the last one wins and both are right.
 *
 * A line is open or closed. While it is closed, nothing of the session grows, shrinks or moves by that instance: it opens
 * the line before, and closes it when nothing is under way any more. So who reads closed lines, walks the tree, and reads
 * the same lines again has seen the tree that they tell of (count.h). An open line says how much at most. One that a
 * crash left open is told from that of a living instance by the run that wrote it, and by the heartbeats of the instance
 * (witness.h); an instance whose heartbeats could not be written for LEDGER_LEASE ms relies on no line that it wrote
 * before, so that others may take it for dead LEDGER_DEAD ms after the last.
 *
 * A user has no ledger of his own: what he uses is the sum over his sessions. So nothing has to be given back when a
 * session is removed, and one count of a tree repairs both.
 *
 * `session` is a descriptor of the session's directory, which may be O_PATH: a ledger is that directory's, whoever has its
 * name by now. Stateless; files follow the rules of store.h; calls block as long as the filesystem does. They need the
 * daemon's own identity.
 */
#ifndef SESSIONFS_LEDGER_H
#define SESSIONFS_LEDGER_H

#include "heartbeat.h"
#include "store.h"

#define LEDGER_LEASE 10000
#define LEDGER_DEAD 16000

struct usage {
	int64_t bytes, files;
};

struct ledger_line {
	uint64_t version;
	char run[RUN_ID_LEN + 1]; /* of the instance when it wrote this */
	bool open;
	bool unsure; /* what is used may be less than this: the tree is to be counted */
	struct usage used, granted;
	struct usage held; /* of used: unlinked but open still, so that no tree has it */
};

struct ledger_sum {
	bool counted; /* somebody has counted the tree: there is a base, or a line that is not unsure */
	bool has_base;
	bool doubted;     /* somebody asks for a count */
	unsigned lines;   /* of others than `mine` */
	unsigned open;    /* of those */
	unsigned garbage; /* files that nobody could have written, a base or a line of mine among them */
	uint64_t stamp;   /* another one where a line of the others is */
	bool has_mine;    /* and then: */
	struct ledger_line mine;
	struct usage base; /* these are sums over the others */
	struct usage used, granted, held;
};

/*
 * For each line as it is read; NULL for one that is garbage. Non-zero ends the reading and is returned. More than once for
 * a line where lines are written meanwhile.
 */
typedef int ledger_line_fn(void *ctx, const char *instance, const struct ledger_line *line);

/*
 * Reads the ledger of a session. mine is the instance whose line is kept apart, or NULL; each may be NULL. 0, also where
 * there is no ledger; -ENOENT: the directory is deleted; -EAGAIN: others never ceased to write; -errno of the filesystem.
 */
int ledger_read(int session, const char *mine, ledger_line_fn *each, void *ctx, struct ledger_sum *ret);

/* Replaces the line of an instance. Makes usage/ where there is none. 0, -ENOENT (deleted), -errno. */
int ledger_write(int session, const char *instance, const struct ledger_line *line);

int ledger_write_base(int session, const struct usage *base);

/* Asks those who use the session to count it; and takes that back, once it was counted. 0 or as ledger_write(). */
int ledger_doubt(int session);
int ledger_believe(int session);

/* Removes what is garbage, and temporaries of crashed writes. */
int ledger_clear(struct store *s, int session);

/*
 * base and grants over all sessions of a user, without the line of `mine` in the session `own`, a descriptor (-1: none) of
 * that name. A session that nobody has counted yet has nothing; -EUCLEAN where one is damaged.
 */
int ledger_user(struct store *s, const char *user, const char *name, int own, const char *mine, struct usage *ret);

/* The sum that is shown: base and what all used, as last written; never below 0. */
struct usage ledger_total(const struct ledger_sum *sum);

#endif
