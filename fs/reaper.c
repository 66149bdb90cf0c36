/* SPDX-License-Identifier: MIT */
#include "reaper.h"

#include <time.h>

#include "bind.h"
#include "fs.h"
#include "log.h"
#include "stats.h"
#include "ticker.h"
#include "util.h"

#define META_EVERY 10    /* seconds between two rounds of writing meta.json */
#define REVALIDATE 2     /* seconds until what another instance revoked is revoked here */
#define TRASH_BUDGET 256 /* directory entries deleted in one round, so that no caller notices */

static void end_dead_bindings(struct fs *fs)
{
	struct binding *b;
	for (uint32_t at = 0; (b = binding_next(fs->bindings, &at));) {
		if (!binding_alive(b) && bind_over(fs, b, "caller-gone"))
			stats_add(STATS_reaped, 1);
		binding_put(fs->bindings, b);
	}
}

/* The store is all that instances share. One whose directory is gone was dropped. */
static void see_revocations(struct fs *fs)
{
	struct session *s;
	struct meta meta;
	for (uint32_t at = 0; (s = session_next(fs->sessions, &at));) {
		int err = s->revoked ? -EALREADY : store_told(store_meta_read(fs->store, s->name, &meta));
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
			int err = store_told(store_meta_update(fs->store, s->name, note_use, &(struct used){fs, s}));
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
	struct ticker *ticker;
	int64_t wrote, looked; /* monotonic seconds of the last write_meta() and see_revocations() */
};

static void step(void *ctx, int64_t now)
{
	struct reaper *r = ctx;
	end_dead_bindings(r->fs);
	if (now - r->wrote >= META_EVERY) {
		write_meta(r->fs);
		r->wrote = now;
	}
	if (now - r->looked >= REVALIDATE) {
		see_revocations(r->fs);
		r->looked = now;
	}
	store_told(store_empty_trash(r->fs->store, TRASH_BUDGET));
	stats_set(STATS_reaper_last, time(NULL));
}

struct reaper *reaper_start(struct fs *fs)
{
	struct reaper *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->fs = fs;
	r->ticker = ticker_start(step, r);
	if (!r->ticker) {
		free(r);
		return NULL;
	}
	return r;
}

void reaper_stop(struct reaper *r)
{
	if (!r)
		return;
	ticker_stop(r->ticker);
	free(r);
}
