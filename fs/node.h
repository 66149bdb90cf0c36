/* SPDX-License-Identifier: MIT */
/*
 * Nodes: what the kernel holds a number for, and the file below that the number stands for.
 *
 * A node is one file of one session reached by one route (its <sid>, or one handle). The table finds a node by its
 * number and by that identity, and counts the kernel's lookups. Numbers are slot and generation, and are never used
 * again: an unknown one is a stale one, never another file. Slots refer to each other by number, so that the table
 * can live in shared memory.
 *
 * A node remembers its file by handle; descriptors are a cache (O_PATH, least recently used go first), bounded by
 * node_table_new(). Where there are no handles the descriptor is kept for the node's life.
 *
 * One mutex guards the table; it is never held across a system call. A `struct node *` is valid while its holder has
 * a reference. What is const in struct node below does not change while there is one; the rest is the table's.
 *
 * This module grants nothing: whether a caller may have a node is request.c's business, the only caller of
 * node_get().
 */
#ifndef SESSIONFS_NODE_H
#define SESSIONFS_NODE_H

#include "backing.h"

#define NODE_ROOT 1
#define NODE_FIRST (UINT64_C(1) << 32) /* numbers below are the root and the control files (control.h) */

struct node_table;

struct node {
	/* fixed while referenced */
	uint64_t id;
	uint64_t session; /* session id; the node holds a reference to it */
	uint64_t route;   /* 0: through <sid>; else the handle's binding id */
	struct backing_key key;
	mode_t type; /* S_IFMT bits */

	/* table lock */
	uint64_t parent;       /* as last looked up; 0 for the root of a session */
	uint64_t nlookup;      /* the kernel's count */
	uint32_t refs;         /* requests and open files */
	uint32_t chain;        /* next slot with the same hash, 0 ends */
	uint32_t newer, older; /* in the descriptor cache's order of use */
	uint32_t pins;         /* users of fd */
	int fd;                /* -1 when not cached */
	bool linked;           /* found by identity; false once freed */
	mode_t mode;           /* permission bits, owner and group as last seen: for search permission of ancestors */
	uid_t uid;
	gid_t gid;

	/* passthrough: one backing id for all opens of an inode (passthrough.c) */
	uint32_t nopen;
	uid_t opener;       /* who has it open; (uid_t)-1 when several users have */
	int32_t backing_id; /* 0: none */
};

/* Called, without the lock, when a node is gone for good: gives its session reference back. */
typedef void node_gone_fn(void *ctx, uint64_t session);

/* max_fds bounds the descriptor cache. NULL without memory. */
struct node_table *node_table_new(const struct backing *b, unsigned max_fds, node_gone_fn *gone, void *ctx);
void node_table_free(struct node_table *t);

/*
 * Finds or inserts the node of (session, route, key) and counts one lookup of the kernel. Returns a reference, drop
 * it with node_put(). fd is an O_PATH descriptor of the file: consumed, and kept in the cache if `keep` or if the key
 * needs one. *fresh says that it was inserted: the session reference that the caller holds has then passed to the
 * node. NULL when the table is full.
 */
struct node *node_intern(struct node_table *t, uint64_t session, uint64_t route, const struct backing_key *key,
			 const struct stat *st, uint64_t parent, int fd /* consumed */, bool keep, bool *fresh);

/* The same node if the kernel holds it already (then counted and referenced), else NULL. */
struct node *node_find(struct node_table *t, uint64_t session, uint64_t route, const struct backing_key *key,
		       bool count);

/* A reference to the node of a number, NULL if unknown. */
struct node *node_get(struct node_table *t, uint64_t id);
void node_ref(struct node_table *t, struct node *n); /* one more */
void node_put(struct node_table *t, struct node *n); /* NULL is fine */

/* The kernel forgets n lookups. Unknown numbers are ignored. */
void node_forget(struct node_table *t, uint64_t id, uint64_t n);

/*
 * An O_PATH descriptor of the node's file, good until node_unpin(). Takes the thread back to the daemon's own
 * identity on a cache miss. -ESTALE when the file is gone.
 */
int node_pin(struct node_table *t, struct node *n, int *fd);
void node_unpin(struct node_table *t, struct node *n);

/* Keeps mode and owner, here and in the same file's nodes by other routes; and a new place in the tree. */
void node_note(struct node_table *t, struct node *n, const struct stat *st);
void node_moved(struct node_table *t, struct node *n, uint64_t parent);

/*
 * Whether a user may pass through all directories above n. in_group tells of supplementary groups, without a system
 * call. An unknown ancestor (a file whose directory is gone) ends the walk.
 */
bool node_searchable(struct node_table *t, const struct node *n, uid_t uid, gid_t gid, bool (*in_group)(gid_t));

/* Whether a file of the node is open, and by this user (or several, this one perhaps among them). */
bool node_is_open(struct node_table *t, const struct node *n);
bool node_is_open_by(struct node_table *t, const struct node *n, uid_t uid);

/* For the passthrough bookkeeping of passthrough.c alone. */
void node_lock(struct node_table *t);
void node_unlock(struct node_table *t);

#endif
