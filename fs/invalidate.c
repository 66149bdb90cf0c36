/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 317
#include "invalidate.h"

#include <fuse_lowlevel.h>
#include <limits.h>
#include <pthread.h>

#include "stats.h"
#include "util.h"

#define QUEUE_LEN 8192
#define QUEUE_SLACK 1024 /* kept for requests that were let through by invalidate_full() at the same time */

struct entry {
	uint64_t parent;
	char *name; /* owned */
};

struct invalidator {
	struct fuse_session *se;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t some;
	unsigned first, count;
	bool stop;
	struct entry queue[QUEUE_LEN];
};

static void *run(void *arg)
{
	struct invalidator *inv = arg;
	pthread_mutex_lock(&inv->lock);
	for (;;) {
		while (!inv->count && !inv->stop)
			pthread_cond_wait(&inv->some, &inv->lock);
		if (inv->stop)
			break;
		struct entry e = inv->queue[inv->first];
		inv->first = (inv->first + 1) % QUEUE_LEN;
		inv->count--;
		pthread_mutex_unlock(&inv->lock);

		/* ENOENT: the kernel did not remember it. Everything else means that the mount is going away. */
		fuse_lowlevel_notify_inval_entry(inv->se, e.parent, e.name, strlen(e.name));
		stats_add(STATS_notifies, 1);
		free(e.name);

		pthread_mutex_lock(&inv->lock);
	}
	pthread_mutex_unlock(&inv->lock);
	return NULL;
}

struct invalidator *invalidate_start(struct fuse_session *se)
{
	struct invalidator *inv = calloc(1, sizeof(*inv));
	if (!inv)
		return NULL;
	inv->se = se;
	pthread_mutex_init(&inv->lock, NULL);
	pthread_cond_init(&inv->some, NULL);
	if (pthread_create(&inv->thread, NULL, run, inv)) {
		free(inv);
		return NULL;
	}
	return inv;
}

void invalidate_stop(struct invalidator *inv)
{
	if (!inv)
		return;
	pthread_mutex_lock(&inv->lock);
	inv->stop = true;
	pthread_cond_signal(&inv->some);
	pthread_mutex_unlock(&inv->lock);
	pthread_join(inv->thread, NULL);
}

void invalidate_free(struct invalidator *inv)
{
	if (!inv)
		return;
	for (; inv->count; inv->count--) {
		free(inv->queue[inv->first].name);
		inv->first = (inv->first + 1) % QUEUE_LEN;
	}
	free(inv);
}

bool invalidate_full(struct invalidator *inv)
{
	pthread_mutex_lock(&inv->lock);
	bool full = !inv->stop && inv->count >= QUEUE_LEN - QUEUE_SLACK;
	pthread_mutex_unlock(&inv->lock);
	return full;
}

static void queue(struct invalidator *inv, uint64_t parent, const char *name, unsigned bound)
{
	if (!inv)
		return;
	char *copy = strdup(name);
	pthread_mutex_lock(&inv->lock);
	if (copy && !inv->stop && inv->count < bound) {
		inv->queue[(inv->first + inv->count++) % QUEUE_LEN] = (struct entry){parent, steal_ptr(&copy)};
		pthread_cond_signal(&inv->some);
	}
	pthread_mutex_unlock(&inv->lock);
	free(copy);
}

void invalidate_name(struct invalidator *inv, uint64_t parent, const char *name)
{
	queue(inv, parent, name, QUEUE_LEN);
}

void invalidate_hint(struct invalidator *inv, uint64_t parent, const char *name)
{
	queue(inv, parent, name, QUEUE_LEN / 2);
}
