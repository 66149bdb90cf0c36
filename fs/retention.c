/* SPDX-License-Identifier: MIT */
#include "retention.h"

#include <inttypes.h>
#include <sys/random.h>

#include "clock.h"
#include "log.h"
#include "stats.h"
#include "util.h"

#define BUDGET 128       /* sessions read in a step, about: some milliseconds on a disk */
#define REMOVAL 16       /* what a removal counts for */
#define PAUSE_LEAST 1000 /* ms between two walks: a sixteenth of what is waited for, within these */
#define PAUSE_MOST 3600000

enum retention_end retention_due(const struct meta *m, const struct retention_rules *rules, int64_t now)
{
	if (m->revoked && (!m->revoked_at || now - m->revoked_at <= rules->revoked))
		return RETENTION_KEEP;
	if (rules->lifetime && m->created && now - m->created > rules->lifetime)
		return RETENTION_LIFETIME;
	int64_t used = m->last_used > m->created ? m->last_used : m->created;
	return rules->idle && used && now - used > rules->idle ? RETENTION_IDLE : RETENTION_KEEP;
}

const char *retention_end_name(enum retention_end end)
{
	return end == RETENTION_IDLE ? "idle" : "lifetime";
}

/* What others are held to have for `idle`, who do not say. */
static int64_t assumed(const struct retention_rules *rules)
{
	return rules->idle && rules->idle < RETENTION_SAFE ? rules->idle : RETENTION_SAFE;
}

bool retention_is_stale(const struct retention_rules *rules, int64_t stored, int64_t now)
{
	return now - stored >= assumed(rules) / 2;
}

bool retention_is_behind(const struct retention_rules *rules, int64_t used, int64_t now)
{
	return now - used >= assumed(rules) / 4;
}

struct retention {
	struct store *store;
	struct retention_rules rules;
	struct retention_hooks hooks;
	struct clock_watch clock;
	bool held;    /* as the log was told */
	int64_t next; /* boot time of the next walk */
	bool walking;
	struct store_walk walk;
	int64_t now;  /* Unix seconds of this step */
	bool failing; /* the store, as the log was told */
};

struct retention *retention_new(struct store *store, const struct retention_rules *rules,
				const struct retention_hooks *hooks)
{
	struct retention *r = calloc(1, sizeof(*r));
	if (r) {
		r->store = store;
		r->rules = *rules;
		r->hooks = *hooks;
	}
	return r;
}

void retention_free(struct retention *r)
{
	if (!r)
		return;
	store_walk_end(&r->walk);
	free(r);
}

struct judgement {
	const struct retention *r;
	struct meta m; /* the last that was judged */
	enum retention_end end;
};

static bool is_due(const struct meta *m, void *ctx)
{
	struct judgement *j = ctx;
	j->m = *m;
	j->end = retention_due(m, &j->r->rules, j->r->now);
	return j->end != RETENTION_KEEP;
}

/* What it cost. */
static unsigned judge(struct retention *r, const char *name)
{
	struct judgement j = {.r = r};
	/* Damaged ones are for people to look at; one that can't be read now is read the next time. */
	if (store_meta_read(r->store, name, &j.m) < 0 || !is_due(&j.m, &j))
		return 1;
	if (j.end == RETENTION_IDLE && r->hooks.in_use(r->hooks.ctx, name, r->now))
		return 1;
	int err = store_told(store_remove_if(r->store, name, is_due, &j));
	if (err == 0) {
		stats_add(j.end == RETENTION_IDLE ? STATS_removed_idle : STATS_removed_lifetime, 1);
		r->hooks.removed(r->hooks.ctx, name, &j.m, j.end);
	} else if (err == -EAGAIN) {
		stats_add(STATS_returned, 1);
	} else if (err != -ENOENT && !r->failing) {
		log_warn("session %s: cannot be removed: %s (and perhaps others; it is tried again)", j.m.sid,
			 strerror(-err));
	}
	r->failing = err < 0 && err != -EAGAIN && err != -ENOENT;
	return REMOVAL;
}

static int64_t pause_of(const struct retention_rules *rules)
{
	int64_t least = rules->idle && (!rules->lifetime || rules->idle < rules->lifetime) ? rules->idle
											   : rules->lifetime;
	int64_t pause = least * 1000 / 16;
	return pause < PAUSE_LEAST ? PAUSE_LEAST : pause > PAUSE_MOST ? PAUSE_MOST : pause;
}

static void walk(struct retention *r, int64_t boot)
{
	char name[SID_HASH_LEN + 1];
	if (!r->walking) {
		/* Instances that were started at once begin at different places. */
		uint8_t first = 0;
		(void)!getrandom(&first, sizeof(first), 0);
		r->walk = (struct store_walk){.first = first};
		r->walking = true;
	}
	for (unsigned cost = 0; cost < BUDGET;) {
		int at = store_walk_next(r->store, &r->walk, name);
		if (at == STORE_WALK_NAME) {
			cost += judge(r, name);
		} else if (at == STORE_WALK_ON) {
			cost++;
		} else { /* the end, or a store that can't be read: not sooner than a walk */
			store_walk_end(&r->walk);
			r->walking = false;
			r->next = boot + pause_of(&r->rules);
			return;
		}
	}
}

static void watch_clock(struct retention *r, int64_t wall, int64_t boot)
{
	int64_t jump = clock_look(&r->clock, wall, boot);
	if (jump) {
		stats_add(STATS_clock_jumps, 1);
		log_warn("the clock jumped by %" PRId64 " s: no session is removed for its age for %d minutes",
			 jump / 1000, CLOCK_HOLD / 60000);
	}
	bool held = clock_held(&r->clock, boot);
	stats_set(STATS_held, held);
	if (r->held && !held)
		log_info("sessions are removed for their age again");
	r->held = held;
}

void retention_step(struct retention *r, int64_t wall, int64_t boot)
{
	if (!r->rules.idle && !r->rules.lifetime)
		return;
	watch_clock(r, wall, boot);
	r->now = wall / 1000;
	if (!r->held && (r->walking || boot >= r->next))
		walk(r, boot);
}
