/* SPDX-License-Identifier: MIT */
/*
 * Files and directories below that are in use where usage is counted, one for each whatever route led to it: whose size
 * or names change takes its lock, so that what an operation adds is known exactly before another begins.
 *
 * Known by device and inode number, which are not given to another file while somebody holds this one open; who has it
 * for one operation alone has a descriptor meanwhile. The table's locks are not held across system calls; the inode's
 * own is.
 */
#ifndef SESSIONFS_INODE_H
#define SESSIONFS_INODE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct account;
struct inode_table;

struct inode {
	uint64_t dev, ino;
	pthread_rwlock_t lock; /* shared: writes within the size; exclusive: all that changes size or names */

	/* exclusive lock */
	unsigned opens; /* open files of it, by all routes */
	bool orphan;    /* it has no name, and counts until its last close */

	struct account *account; /* of the open files; owned; set with the first */

	/* table lock */
	unsigned refs;
	struct inode *chain;
};

struct inode_table *inode_table_new(void); /* NULL without memory */
void inode_table_free(struct inode_table *t);

/* A reference, to be given back; NULL without memory. */
struct inode *inode_get(struct inode_table *t, uint64_t dev, uint64_t ino);
void inode_put(struct inode_table *t, struct inode *i); /* NULL is fine */

#endif
