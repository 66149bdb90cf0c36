/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 317
#include "passthrough.h"

#include <fuse_lowlevel.h>

#include "log.h"
#include "stats.h"

static void drop(struct fuse_req *req, int32_t id)
{
	if (id > 0 && fuse_passthrough_close(req, id) >= 0)
		stats_add(STATS_backing_ids, -1);
}

static uint32_t count(struct node *n, uid_t uid)
{
	n->opener = n->nopen == 0 || n->opener == uid ? uid : (uid_t)-1;
	return ++n->nopen;
}

int32_t passthrough_get(struct node_table *t, struct fuse_req *req, struct node *n, uid_t uid, int fd,
			atomic_bool *wanted)
{
	node_lock(t);
	bool decided = n->nopen > 0;
	int32_t id = n->backing_id;
	if (decided)
		count(n, uid);
	node_unlock(t);
	if (decided)
		return id;

	int32_t ours = *wanted ? fuse_passthrough_open(req, fd) : 0;
	if (*wanted && ours <= 0 && atomic_exchange(wanted, false))
		log_warn("no passthrough on this store, reads go through the page cache");
	if (ours > 0)
		stats_add(STATS_backing_ids, 1);
	node_lock(t);
	if (count(n, uid) == 1) {
		n->backing_id = ours;
		ours = 0;
	}
	id = n->backing_id;
	node_unlock(t);
	drop(req, ours); /* another open of the same node was quicker */
	return id;
}

void passthrough_put(struct node_table *t, struct fuse_req *req, struct node *n)
{
	int32_t id = 0;
	node_lock(t);
	if (--n->nopen == 0) {
		id = n->backing_id;
		n->backing_id = 0;
	}
	node_unlock(t);
	drop(req, id);
}
