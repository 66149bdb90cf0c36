/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 317
#include "invalidate.h"

#include <fuse_lowlevel.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "stats.h"
#include "util.h"

#define QUEUE_LEN 8192
/* Kept for requests that invalidate_full() let through at the same time: no more than there are threads, two names each. */
#define QUEUE_SLACK 1024

struct entry {
	uint64_t parent;
	char name[NAME_MAX + 1]; /* here, so that memory can't be what is missing */
};

struct invalidator {
	struct fuse_session *se;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t some;
	unsigned first, count;
	unsigned refused;
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
		inv->count--;
		inv->first = inv->count ? (inv->first + 1) % QUEUE_LEN : 0; /* few use few pages */
		pthread_mutex_unlock(&inv->lock);

		/* ENOENT: the kernel did not remember it. Everything else means that the mount is going away. */
		fuse_lowlevel_notify_inval_entry(inv->se, e.parent, e.name, strlen(e.name));
		stats_add(STATS_notifies, 1);

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
	free(inv);
}

bool invalidate_full(struct invalidator *inv)
{
	pthread_mutex_lock(&inv->lock);
	bool full = !inv->stop && inv->count >= QUEUE_LEN - QUEUE_SLACK;
	pthread_mutex_unlock(&inv->lock);
	return full;
}

/* Whether it is queued, or need not be. */
static bool queue(struct invalidator *inv, uint64_t parent, const char *name, unsigned bound)
{
	if (!inv || strlen(name) > NAME_MAX) /* no filesystem below has such a name */
		return true;
	pthread_mutex_lock(&inv->lock);
	bool room = inv->count < bound;
	if (room && !inv->stop) {
		struct entry *e = &inv->queue[(inv->first + inv->count++) % QUEUE_LEN];
		e->parent = parent;
		strcpy(e->name, name);
		pthread_cond_signal(&inv->some);
	}
	bool done = room || inv->stop;
	pthread_mutex_unlock(&inv->lock);
	return done;
}

void invalidate_name(struct invalidator *inv, uint64_t parent, const char *name)
{
	if (!queue(inv, parent, name, QUEUE_LEN))
		abort(); /* a change that was made, and would never be told */
}

bool invalidate_late(struct invalidator *inv, uint64_t parent, const char *name)
{
	bool queued = queue(inv, parent, name, QUEUE_LEN - QUEUE_SLACK);
	if (!queued) {
		stats_add(STATS_notifies_late, 1);
		pthread_mutex_lock(&inv->lock);
		inv->refused++;
		pthread_mutex_unlock(&inv->lock);
	}
	return queued;
}

bool invalidate_refused(struct invalidator *inv)
{
	if (!inv)
		return false;
	pthread_mutex_lock(&inv->lock);
	bool some = inv->refused > 0;
	inv->refused = 0;
	pthread_mutex_unlock(&inv->lock);
	return some;
}

void invalidate_hint(struct invalidator *inv, uint64_t parent, const char *name)
{
	queue(inv, parent, name, QUEUE_LEN / 2);
}
