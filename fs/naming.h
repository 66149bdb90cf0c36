/* SPDX-License-Identifier: MIT */
/*
 * The operations that make, move and remove names, as growth.h has those of sizes: each does what the plain system call does
 * where nothing is limited, and otherwise holds the inodes of the directories and of the file.
 *
 * Two locks are taken in this order: directories (of two, the lower address first), file.
 *
 * All act as the caller of the request (creds_become()), and leave the thread so.
 */
#ifndef SESSIONFS_NAMING_H
#define SESSIONFS_NAMING_H

#include "charge.h"

/* A name that is made by a call of its own (mkdir and so on) goes between these two. */
struct naming {
	struct request *request;
	struct inode *dir; /* NULL: nothing is counted */
};
int naming_begin(struct request *r, struct naming *n);
int naming_end(struct naming *n, int err); /* of the call; returned */

int naming_remove(struct request *r, const char *name, int flags); /* unlinkat() */
int naming_rename(struct request *r, const char *name, const char *newname, unsigned flags);
int naming_link(struct request *r, const char *newname);

#endif
