/* SPDX-License-Identifier: MIT */
#include "reaper.h"

#include <time.h>

#include "audit.h"
#include "bind.h"
#include "control.h"
#include "ended.h"
#include "fs.h"
#include "log.h"
#include "retention.h"
#include "stats.h"
#include "ticker.h"
#include "trash.h"
#include "util.h"

#define WRITE_EVERY 10000 /* ms */
#define FLUSH_MS 30000 /* at the end: what is not written then was used seconds ago, and who uses it again writes it */
#define STRANDED_EVERY 10 /* steps: seconds in which a removal that goes on is through */
#define TRASH_BUDGET 256  /* directory entries deleted in one step, so that no caller notices */
#define TRASH_COUNTED 10000
#define ABSENT_MAX 256 /* that wait for one second look */
#define LOOK_BUDGET 64 /* live sessions looked at in one step without having heard of them, at least */
#define LOOK_STEPS \
	64 /* steps in which all of them are looked at, at most: session-rm(1) tells what that is in seconds */

struct reaper {
	struct fs *fs;
	struct ticker *bindings, *keys, *look, *write, *sweep;
	atomic_bool stop; /* what takes long ends early */
	/* of the look */
	uint32_t at;                        /* where the walk over live sessions is */
	bool deaf, mute;                    /* the store, as the log was told */
	struct session *absent[ABSENT_MAX]; /* referenced; not there at the first look of this step */
	unsigned n_absent;
	/* of the sweep */
	struct retention *retention;
	struct trash_seen seen;
	unsigned steps;
};

static int64_t clock_ms(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct retention_rules rules_of(const struct fs *fs)
{
	const struct config *c = &fs->config;
	return (struct retention_rules){c->idle, c->lifetime, c->max_lifetime + c->leeway};
}

/* ---- bindings ---- */

/*
 * A session stays live as long as the kernel remembers its name, with a descriptor of its directory. Where there are many,
 * those that nobody has used for a while are taken out of the kernel's memory; where there are few, nobody's working
 * directory is touched.
 */
static void forget_unused(struct fs *fs, int64_t now)
{
	struct session *s;
	for (uint32_t at = 0; (s = session_next_unused(fs->sessions, &at, now)); session_put(fs->sessions, s))
		invalidate_hint(fs->inval, NODE_ROOT, s->sid);
}

/*
 * Of sessions that were removed, whose names the kernel remembers: until it is told, who binds such a name anew is led to
 * what is no more, and refused. Who finds no room in the queue is told of here, a second later. Those that the kernel has
 * forgotten are not in the table any more.
 */
static void tell_kernel(struct fs *fs)
{
	struct session *s;
	if (!invalidate_refused(fs->inval))
		return;
	for (uint32_t at = 0; (s = session_next(fs->sessions, &at)); session_put(fs->sessions, s))
		if (s->untold && invalidate_late(fs->inval, NODE_ROOT, s->sid))
			s->untold = false;
}

/* Touches no store: who is gone is gone at once, whatever the store does. */
static void end_dead_bindings(void *ctx, int64_t tick)
{
	(void)tick;
	struct fs *fs = ctx;
	const struct retention_rules rules = rules_of(fs);
	int64_t now = time(NULL);
	struct binding *b;
	for (uint32_t at = 0; (b = binding_next(fs->bindings, &at));) {
		if (binding_alive(b)) {
			b->session->held = now;
			if (binding_check(b, now) == 0 && retention_is_behind(&rules, b->session->used, now))
				session_touch(fs->sessions, b->session, now);
		} else if (bind_over(fs, b, "caller-gone")) {
			stats_add(STATS_reaped, 1);
		}
		binding_put(fs->bindings, b);
	}
	tell_kernel(fs);
	forget_unused(fs, now);
}

static void poll_keys(void *ctx, int64_t tick)
{
	(void)tick;
	control_poll_keys(ctx);
}

/* ---- look: what other instances did ---- */

/*
 * Looks at one live session. True when it is not there: on its way to the trash, or to be put back in a moment (trash.h),
 * or the server's answer is an old one. Not there twice, it is gone.
 */
static bool look_at(struct fs *fs, struct session *s, bool twice)
{
	struct meta meta;
	stats_add(STATS_looks, 1);
	int err = store_told(store_look(fs->store, s->name, s->dir, &meta));
	if (err == -ESTALE || (err == -ENOENT && twice))
		bind_ended(fs, s, true, "elsewhere");
	else if (!err && meta.revoked)
		bind_ended(fs, s, false, "elsewhere");
	else if (!err)
		bind_count(fs, s);
	return err == -ENOENT;
}

/* The second, at those that were not there: one moment for all, since others wait to be looked at. */
static void look_again(struct reaper *r)
{
	if (r->n_absent) {
		struct timespec moment = {.tv_nsec = 100000000};
		nanosleep(&moment, NULL);
	}
	for (; r->n_absent > 0; session_put(r->fs->sessions, r->absent[r->n_absent]))
		look_at(r->fs, r->absent[--r->n_absent], true);
}

/*
 * The first look, at a session whose reference is consumed. One that is revoked has nothing left to lose: those who are in it
 * are refused, by whatever they hold, and hear the same when it is removed. That its sid is free then, and by whom it was
 * made anew, who binds it asks the store (enter in bind.c). Without this each of very many that were revoked would be
 * read again at each step, for the hour that ended/ tells of them.
 */
static void look_first(struct reaper *r, struct session *s)
{
	if (s->revoked || !look_at(r->fs, s, false)) {
		session_put(r->fs->sessions, s);
		return;
	}
	r->absent[r->n_absent++] = s;
	if (r->n_absent == ABSENT_MAX)
		look_again(r);
}

static void heard(const char *name, void *ctx)
{
	struct reaper *r = ctx;
	struct session *s = session_find_name(r->fs->sessions, name);
	if (s)
		look_first(r, s);
}

/*
 * Instances tell each other what they revoke and remove, and that is one listing (ended.h). What was not told, because
 * somebody crashed or had no room, or an operator did it by hand, is found by looking at all of them, some at each
 * step: by their number of this moment, so that no session waits for more than LOOK_STEPS steps, however suddenly they have
 * become many. Few enough to be looked at in one step always are.
 */
static void look_around(struct reaper *r)
{
	struct fs *fs = r->fs;
	unsigned share = session_table_live(fs->sessions) / LOOK_STEPS;
	unsigned budget = (share < LOOK_BUDGET ? LOOK_BUDGET : share) + 1; /* one more finds the end */
	struct session *s;
	for (; budget > 0 && !r->stop && (s = session_next(fs->sessions, &r->at)); budget--)
		look_first(r, s);
	if (budget > 0)
		r->at = 0;
}

/* What this instance, or who used its control file, has revoked and removed, where there was no room to tell it. */
static void tell_others(struct reaper *r)
{
	int err = store_told(store_tell_again(r->fs->store));
	if (err && !r->mute)
		log_warn(
			"store: ended/: %s: other instances see late what is revoked or removed here; it is tried again",
			strerror(-err));
	else if (!err && r->mute)
		log_info("other instances are told again what is revoked or removed here");
	r->mute = err != 0;
}

static void look(void *ctx, int64_t tick)
{
	(void)tick;
	struct reaper *r = ctx;
	int err = ended_each(store_fd(r->fs->store), heard, r);
	if (err && !r->deaf)
		log_warn("store: ended/: %s: revocations by other instances are seen late", strerror(-err));
	r->deaf = err != 0;
	look_again(r);
	look_around(r);
	look_again(r);
	tell_others(r);
}

/* ---- write: meta.json ---- */

struct used {
	struct fs *fs;
	struct session *session;
	int64_t noted;
};

static bool note_use(struct meta *m, void *ctx)
{
	struct used *u = ctx;
	int64_t used = u->session->used, expires = u->session->expires;
	if (m->revoked || strcmp(m->sub, u->session->sub) != 0) /* another's, made under the same id since */
		return false;
	if (used > m->last_used)
		m->last_used = used;
	if (expires > m->expires)
		m->expires = expires;
	session_release(u->fs->sessions, u->session, m->release);
	u->noted = m->last_used;
	return true;
}

/* Whether meta.json could be written, said once each time that this changes. */
static void tell_trouble(const struct session *s, int err)
{
	static atomic_bool trouble;
	if (err)
		stats_add(STATS_meta_failures, 1);
	if (err && !atomic_exchange(&trouble, true))
		log_warn("session %s: meta.json: %s; it stays as it was and is tried again, and so are others'", s->sid,
			 strerror(-err));
	else if (!err && atomic_exchange(&trouble, false))
		log_info("meta.json can be written again");
}

/* Until a time on the monotonic clock, in ms, or until it is stopped; NULL or 0: all of it. */
static void write_until(struct fs *fs, int64_t until, const atomic_bool *stop)
{
	struct session *s;
	for (uint32_t at = 0; !(stop && *stop) && (!until || clock_ms(CLOCK_MONOTONIC) < until) &&
			      (s = session_next(fs->sessions, &at));) {
		if (session_clean(fs->sessions, s) && !s->revoked) {
			struct used u = {fs, s, 0};
			int err = store_told(store_meta_update(fs->store, s->name, note_use, &u));
			if (err != -ENOENT)
				tell_trouble(s, err);
			if (err && err != -ENOENT)
				session_touch(fs->sessions, s, s->used);
			else if (!err && u.noted > s->stored)
				s->stored = u.noted;
		}
		session_put(fs->sessions, s);
	}
}

static void write_meta(void *ctx, int64_t tick)
{
	(void)tick;
	struct reaper *r = ctx;
	write_until(r->fs, 0, &r->stop);
}

/* ---- sweep: what goes ---- */

static bool in_use(void *ctx, const char *name, int64_t now)
{
	struct fs *fs = ctx;
	struct session *s = session_find_name(fs->sessions, name);
	bool used = s && !s->revoked && now - s->used <= fs->config.idle;
	session_put(fs->sessions, s);
	return used;
}

static void removed(void *ctx, const char *name, const struct meta *m, enum retention_end end)
{
	struct fs *fs = ctx;
	struct session *s = session_find_name(fs->sessions, name);
	struct meta there;
	/* What stands there now is another session, made under the same id since; that one may be the live one. */
	if (s && store_look(fs->store, s->name, s->dir, &there) != 0)
		bind_ended(fs, s, true, retention_end_name(end));
	session_put(fs->sessions, s);
	struct audit_event ev = {
		.event = "remove",
		.reason = retention_end_name(end),
		.uid = (uid_t)-1,
		.sub = m->sub,
		.target = m->sid,
	};
	audit_write(&ev);
}

static void sweep(void *ctx, int64_t tick)
{
	(void)tick;
	struct reaper *r = ctx;
	struct store *store = r->fs->store;
	retention_step(r->retention, clock_ms(CLOCK_REALTIME), clock_ms(CLOCK_BOOTTIME));
	int more = store_told(store_empty_trash(store, TRASH_BUDGET));
	int left = more ? trash_count(store_fd(store), TRASH_COUNTED) : 0;
	if (left >= 0)
		stats_set(STATS_trash, left);
	if (r->steps++ % STRANDED_EVERY == 0)
		store_told(trash_return_stranded(store_fd(store), &r->seen));
	stats_set(STATS_reaper_last, time(NULL));
}

/* ---- all of it ---- */

void reaper_flush(struct fs *fs)
{
	end_dead_bindings(fs, 0);
	write_until(fs, clock_ms(CLOCK_MONOTONIC) + FLUSH_MS, NULL);
}

void reaper_stop(struct reaper *r)
{
	if (!r)
		return;
	r->stop = true;
	struct ticker *all[] = {r->bindings, r->keys, r->look, r->write, r->sweep};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		ticker_stop(all[i]);
	retention_free(r->retention);
	free(r);
}

struct reaper *reaper_start(struct fs *fs)
{
	const struct retention_rules rules = rules_of(fs);
	const struct retention_hooks hooks = {in_use, removed, fs};
	struct reaper *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->fs = fs;
	r->retention = retention_new(fs->store, &rules, &hooks);
	r->bindings = ticker_start(end_dead_bindings, fs, TICKER_SECOND);
	r->keys = ticker_start(poll_keys, fs, TICKER_SECOND);
	/* The rest of the time that was promised is for the look itself. */
	r->look = ticker_start(look, r, fs->config.revalidate * TICKER_SECOND * 3 / 4);
	r->write = ticker_start(write_meta, r, WRITE_EVERY);
	r->sweep = r->retention ? ticker_start(sweep, r, TICKER_SECOND) : NULL;
	if (r->bindings && r->keys && r->look && r->write && r->sweep)
		return r;
	reaper_stop(r);
	return NULL;
}
