/* SPDX-License-Identifier: MIT */
/*
 * What a request takes of its session's account, and gives back to it (account.h), and the inodes whose size or names it
 * changes: what growth.c and naming.c both stand on.
 *
 * All act as the caller of the request (creds_become()), and leave the thread so; where the store is to be asked, it is
 * asked as the daemon between.
 */
#ifndef SESSIONFS_CHARGE_H
#define SESSIONFS_CHARGE_H

#include "inode.h"
#include "request.h"

#define NAME_ROOM 4096 /* what a new name is taken to need of the store */

/* Of the session that a request acts in; NULL where nothing is counted. */
struct account *charge_account(const struct request *r);
/* That of the binding that it goes through. */
const struct limits *charge_limits(const struct request *r);

/* quota_take(). */
int64_t charge_take(struct request *r, int64_t bytes, int64_t least, int64_t files);
/* After it, and after the operation: so much is there, and so much more of that has no name. */
void charge_settle(struct request *r, struct usage taken, struct usage kept, struct usage held);

/* account_expect(). 0, or -errno: then nothing is expected. */
int charge_expect(struct request *r, struct usage most);
void charge_went(struct request *r, struct usage most, struct usage went, struct usage held);

/* Room in the store for all of it (room.h). 0 or -errno. */
int charge_room(struct request *r, int64_t bytes);

/* A reference to the inode of a node, locked for what changes its size or names; NULL without memory. */
struct inode *charge_inode(struct request *r, const struct node *n);
struct inode *charge_inode_at(struct request *r, const struct stat *st);
void charge_done(struct request *r, struct inode *i); /* unlocks, and gives it back; NULL is fine */

/* What is below, as it is now: also where another machine has changed it. 0 or -errno. */
int charge_stat(struct request *r, int fd, struct stat *st);

#endif
