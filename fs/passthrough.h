/* SPDX-License-Identifier: MIT */
/*
 * Passthrough: the kernel reads the backing file itself (Linux 6.9).
 *
 * For one inode, either every open file is passthrough or none is, and all share one backing id; the kernel answers
 * EIO or EBUSY otherwise. So the first open of a node decides, and the last close forgets. The node's `nopen` and
 * `backing_id` are this module's, under the node table's lock, which is not held across the ioctls.
 */
#ifndef SESSIONFS_PASSTHROUGH_H
#define SESSIONFS_PASSTHROUGH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "node.h"

struct fuse_req;

/*
 * Counts one more open of n by uid, whose file fd is. Returns the backing id, or 0 where this node's opens go
 * without: *wanted is false, or it was opened so before, or the kernel refused, which makes *wanted false for all
 * that come: said once in the log.
 */
int32_t passthrough_get(struct node_table *t, struct fuse_req *req, struct node *n, uid_t uid, int fd,
			atomic_bool *wanted);

/* One open fewer. */
void passthrough_put(struct node_table *t, struct fuse_req *req, struct node *n);

#endif
