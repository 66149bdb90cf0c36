/* SPDX-License-Identifier: MIT */
#include "reaper.h"

#include <pthread.h>
#include <time.h>

#include "bind.h"
#include "fs.h"
#include "log.h"
#include "util.h"

#define META_EVERY 10    /* seconds between two rounds of writing meta.json */
#define REVALIDATE 2     /* seconds until what another instance revoked is revoked here */
#define TRASH_BUDGET 256 /* directory entries deleted in one round, so that no caller notices */

static void end_dead_bindings(struct fs *fs)
{
	struct binding *b;
	for (uint32_t at = 0; (b = binding_next(fs->bindings, &at));) {
		if (!binding_alive(b))
			bind_over(fs, b, "caller-gone");
		binding_put(fs->bindings, b);
	}
}

/* The store is all that instances share. One whose directory is gone was dropped. */
static void see_revocations(struct fs *fs)
{
	struct session *s;
	struct meta meta;
	for (uint32_t at = 0; (s = session_next(fs->sessions, &at));) {
		int err = s->revoked ? -EALREADY : store_meta_read(fs->store, s->name, &meta);
		if (err == -ENOENT || (!err && meta.revoked))
			bind_revoked_elsewhere(fs, s, err == -ENOENT);
		session_put(fs->sessions, s);
	}
}

struct used {
	struct fs *fs;
	struct session *session;
};

static bool note_use(struct meta *m, void *ctx)
{
	const struct used *u = ctx;
	int64_t used = u->session->used, expires = u->session->expires;
	if (m->revoked)
		return false;
	if (used > m->last_used)
		m->last_used = used;
	if (expires > m->expires)
		m->expires = expires;
	session_release(u->fs->sessions, u->session, m->release);
	return true;
}

static void write_meta(struct fs *fs)
{
	struct session *s;
	for (uint32_t at = 0; (s = session_next(fs->sessions, &at));) {
		if (session_clean(fs->sessions, s) && !s->revoked) {
			int err = store_meta_update(fs->store, s->name, note_use, &(struct used){fs, s});
			if (err && err != -ENOENT) {
				log_warn("session %s: meta.json: %s", s->sid, strerror(-err));
				session_touch(fs->sessions, s, s->used);
			}
		}
		session_put(fs->sessions, s);
	}
}

void reaper_flush(struct fs *fs)
{
	end_dead_bindings(fs);
	write_meta(fs);
}

struct reaper {
	struct fs *fs;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	int64_t wrote, looked; /* monotonic seconds of the last write_meta() and see_revocations() */
};

static void step(struct reaper *r, int64_t now)
{
	end_dead_bindings(r->fs);
	if (now - r->wrote >= META_EVERY) {
		write_meta(r->fs);
		r->wrote = now;
	}
	if (now - r->looked >= REVALIDATE) {
		see_revocations(r->fs);
		r->looked = now;
	}
	store_empty_trash(r->fs->store, TRASH_BUDGET);
}

static void *run(void *arg)
{
	struct reaper *r = arg;
	struct timespec next;
	clock_gettime(CLOCK_MONOTONIC, &next);
	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		pthread_mutex_unlock(&r->lock);
		step(r, next.tv_sec);
		pthread_mutex_lock(&r->lock);
		clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_sec++;
		while (!r->stop && pthread_cond_timedwait(&r->wake, &r->lock, &next) == 0)
			;
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct reaper *reaper_start(struct fs *fs)
{
	struct reaper *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->fs = fs;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&r->thread, NULL, run, r)) {
		free(r);
		return NULL;
	}
	return r;
}

void reaper_stop(struct reaper *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	free(r);
}
