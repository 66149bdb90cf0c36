/* SPDX-License-Identifier: MIT */
/* Which sessions are too old, how they are removed a little at a time, and what a clock that jumps does not do. */
#include "retention.h"

#include <jansson.h>
#include <sodium.h>

#include "clock.h"
#include "stats.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "util.h"

#define NOW INT64_C(1770000000)
#define DAY 86400
#define HOUR 3600

/* --- the rules --- */

static const struct {
	const char *claim;
	struct meta m;
	struct retention_rules rules;
	enum retention_end want;
} cases[] = {
	{"without rules nothing is due", {.created = 1, .last_used = 1}, {0, 0, 0}, RETENTION_KEEP},
	{"used within idle", {.created = NOW - DAY, .last_used = NOW - HOUR}, {HOUR, 0, 0}, RETENTION_KEEP},
	{"a second later", {.created = NOW - DAY, .last_used = NOW - HOUR - 1}, {HOUR, 0, 0}, RETENTION_IDLE},
	{"never used, and young", {.created = NOW - HOUR}, {HOUR, 0, 0}, RETENTION_KEEP},
	{"never used, and old", {.created = NOW - HOUR - 1}, {HOUR, 0, 0}, RETENTION_IDLE},
	{"nothing is known of its times", {.created = 0}, {HOUR, HOUR, 0}, RETENTION_KEEP},
	{"used in the future", {.created = NOW - DAY, .last_used = NOW + DAY}, {HOUR, 0, 0}, RETENTION_KEEP},
	{"created in the future", {.created = NOW + DAY, .last_used = 0}, {HOUR, HOUR, 0}, RETENTION_KEEP},
	{"within lifetime", {.created = NOW - DAY, .last_used = NOW}, {0, DAY, 0}, RETENTION_KEEP},
	{"past it, whoever uses it", {.created = NOW - DAY - 1, .last_used = NOW}, {HOUR, DAY, 0}, RETENTION_LIFETIME},
	{"past both is past its lifetime", {.created = NOW - 9 * DAY}, {HOUR, DAY, 0}, RETENTION_LIFETIME},
	{"revoked, and a token may still be good",
	 {.created = NOW - 9 * DAY, .revoked = true, .revoked_at = NOW - DAY},
	 {HOUR, DAY, DAY},
	 RETENTION_KEEP},
	{"revoked, and none can be any more",
	 {.created = NOW - 9 * DAY, .revoked = true, .revoked_at = NOW - DAY - 1},
	 {HOUR, 0, DAY},
	 RETENTION_IDLE},
	{"revoked at a time that nobody knows",
	 {.created = NOW - 9 * DAY, .revoked = true},
	 {HOUR, DAY, DAY},
	 RETENTION_KEEP},
};

static void test_due(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		is_int(retention_due(&cases[i].m, &cases[i].rules, NOW), cases[i].want, "%s", cases[i].claim);
	const struct retention_rules hour = {.idle = HOUR}, month = {.idle = 30 * DAY}, none = {.idle = 0};
	ok(!retention_is_stale(&hour, NOW - 1799, NOW) && retention_is_stale(&hour, NOW - 1800, NOW),
	   "a bind writes the use first from half of idle on");
	ok(!retention_is_stale(&none, NOW - 1799, NOW) && retention_is_stale(&none, NOW - 1800, NOW) &&
		   retention_is_stale(&month, NOW - 1800, NOW),
	   "of an hour at most, since others may have less, and also without idle");
	ok(!retention_is_stale(&hour, NOW + DAY, NOW), "but not for a use in the future");
	ok(!retention_is_behind(&hour, NOW - 899, NOW) && retention_is_behind(&hour, NOW - 900, NOW),
	   "the use of a bound session is noted after a quarter of idle");
	ok(!retention_is_behind(&month, NOW - 899, NOW) && retention_is_behind(&month, NOW - 900, NOW) &&
		   retention_is_behind(&none, NOW - 900, NOW),
	   "or a quarter of an hour, also without idle");
}

/* --- the clock --- */

#define S INT64_C(1000)

static void test_clock(void)
{
	struct clock_watch c = {.begun = false};
	int64_t wall = NOW * S, boot = 500 * S;
	ok(clock_look(&c, wall, boot) == 0 && !clock_held(&c, boot), "the first look believes the clock");
	for (int i = 0; i < 100000; i++) { /* a day and more */
		wall += S + 5;             /* half of a hundredth too fast */
		boot += S;
		if (clock_look(&c, wall, boot))
			break;
	}
	is_int(boot, (500 + 100000) * S, "a clock that is slewed does not jump");
	boot += 100 * DAY * S;
	wall += 100 * DAY * S;
	is_int(clock_look(&c, wall, boot), 0, "nor one that slept as long as the other");
	boot += S;
	wall += 30 * S;
	is_int(clock_look(&c, wall, boot), 0, "nor one that was set by half a minute");
	boot += S;
	wall += 3 * S;
	ok(clock_look(&c, wall, boot) > 30 * S, "but by a little more at once or in two");
	ok(clock_held(&c, boot) && clock_held(&c, boot + 3599 * S) && !clock_held(&c, boot + 3600 * S),
	   "and then is held off for an hour");
	boot += 1800 * S;
	wall += 1800 * S - 365 * DAY * S;
	is_int(clock_look(&c, wall, boot), -365 * DAY * S, "a clock that jumps back is seen too");
	ok(clock_held(&c, boot + 3599 * S), "and the hour begins again");
	boot += S;
	wall += S;
	is_int(clock_look(&c, wall, boot), 0, "it is told once");
	ok(!clock_held(&c, boot + 3600 * S), "and then believed");
}

/* --- steps over a store --- */

static struct store *store;

static const char *name_of(const char *sid)
{
	static char name[SID_HASH_LEN + 1];
	sid_hash(sid, name);
	return name;
}

static void make(const char *sid, int64_t created, int64_t used)
{
	struct meta m;
	int dir;
	must(store_claim(store, sid, "ada", geteuid(), getegid(), created, &m, &dir));
	if (used > created)
		must(store_use(store, name_of(sid), dir, used));
	close(dir);
}

static bool is_there(const char *sid)
{
	struct meta m;
	return store_meta_read(store, name_of(sid), &m) == 0;
}

static int removed, asked;
static char last[SID_MAX + 1], in_use[SID_MAX + 1];
static enum retention_end why;

static bool is_in_use(void *ctx, const char *name, int64_t now)
{
	(void)ctx, (void)now;
	asked++;
	return strcmp(name, name_of(in_use)) == 0;
}

static void was_removed(void *ctx, const char *name, const struct meta *m, enum retention_end end)
{
	(void)ctx;
	removed += strcmp(name, name_of(m->sid)) == 0;
	snprintf(last, sizeof(last), "%s", m->sid);
	why = end;
}

static const struct retention_hooks hooks = {is_in_use, was_removed, NULL};

static struct retention *begin(int64_t idle, int64_t lifetime)
{
	struct retention_rules rules = {idle, lifetime, 30 * DAY};
	struct retention *r = retention_new(store, &rules, &hooks);
	if (!r)
		abort();
	removed = asked = 0;
	return r;
}

/* So many steps, a second apart; both clocks go on. */
static void steps(struct retention *r, int n, int64_t *wall, int64_t *boot)
{
	for (int i = 0; i < n; i++) {
		retention_step(r, *wall, *boot);
		*wall += S;
		*boot += S;
	}
}

static void test_steps(void)
{
	int64_t wall = NOW * S, boot = 100 * S;
	make("old", NOW - 9 * DAY, NOW - 2 * DAY);
	make("used", NOW - 9 * DAY, NOW - HOUR);
	make("fresh", NOW - HOUR, NOW - HOUR);
	make("bound", NOW - 9 * DAY, 0);
	scratch_file(store_fd(store), "sessions/00/x", 0600, "rubbish");
	strcpy(in_use, "bound");

	struct retention *r = begin(0, 0);
	steps(r, 10, &wall, &boot);
	ok(removed == 0 && asked == 0 && is_there("old"), "without rules nothing is removed");
	retention_free(r);

	r = begin(DAY, 0);
	retention_step(r, wall, boot);
	ok(removed < 4, "a step is a part of a walk");
	steps(r, 10, &wall, &boot);
	ok(removed == 1 && strcmp(last, "old") == 0 && why == RETENTION_IDLE, "an idle session is removed, and told");
	ok(!is_there("old") && is_there("used") && is_there("fresh"), "and no other");
	ok(asked > 0 && is_there("bound"), "not one that is in use here");
	is_int(stats_get(STATS_removed_idle), 1, "it is counted");
	strcpy(in_use, "");
	steps(r, 5, &wall, &boot);
	ok(is_there("bound"), "the next walk does not begin at once");
	boot += 6000 * S;
	wall += 6000 * S;
	steps(r, 10, &wall, &boot);
	ok(removed == 2 && !is_there("bound"), "but after a sixteenth of what is waited for, an hour at most");
	retention_free(r);

	r = begin(0, 7 * DAY);
	steps(r, 10, &wall, &boot);
	ok(removed == 1 && strcmp(last, "used") == 0 && why == RETENTION_LIFETIME && !is_there("used") &&
		   is_there("fresh"),
	   "one that is past its lifetime is removed though it is used");
	retention_free(r);
}

static void test_jumps(void)
{
	int64_t wall = NOW * S, boot = 100 * S;
	char sid[16];
	for (int i = 0; i < 20; i++) {
		snprintf(sid, sizeof(sid), "j%d", i);
		make(sid, NOW - HOUR, NOW);
	}
	struct retention *r = begin(DAY, 30 * DAY);
	steps(r, 10, &wall, &boot);
	is_int(removed, 0, "nobody is idle");
	boot += 3600 * S;
	wall += 3600 * S + 365 * DAY * S;
	steps(r, 300, &wall, &boot);
	is_int(removed, 0, "when the clock jumps forward by a year nothing is removed");
	ok(stats_get(STATS_held) == 1 && stats_get(STATS_clock_jumps) == 1, "which the metrics tell");
	boot += 1800 * S;
	wall += 1800 * S - 365 * DAY * S;
	steps(r, 10, &wall, &boot);
	boot += 3600 * S;
	wall += 3600 * S;
	steps(r, 300, &wall, &boot);
	is_int(removed, 0, "nor when it is set right again, nor after that");
	ok(stats_get(STATS_held) == 0 && stats_get(STATS_clock_jumps) == 2, "and all goes on");
	wall -= 3000 * DAY * S;
	steps(r, 10, &wall, &boot);
	boot += 4000 * S;
	wall += 4000 * S;
	steps(r, 300, &wall, &boot);
	is_int(removed, 0, "sessions of the future are not old");
	wall += 3000 * DAY * S + 40 * DAY * S;
	steps(r, 10, &wall, &boot);
	boot += 3580 * S;
	wall += 3580 * S;
	steps(r, 9, &wall, &boot);
	is_int(removed, 0, "after a jump there is an hour");
	steps(r, 300, &wall, &boot);
	is_int(removed, 21, "and then the clock is believed");
	retention_free(r);
}

static void test_paced(void)
{
	int64_t wall = NOW * S, boot = 100 * S;
	char sid[16];
	for (int i = 0; i < 300; i++) {
		snprintf(sid, sizeof(sid), "p%d", i);
		make(sid, NOW - 9 * DAY, 0);
	}
	struct retention *r = begin(DAY, 0);
	int most = 0, n = 0;
	for (; removed < 300 && n < 1000; n++) {
		int before = removed;
		steps(r, 1, &wall, &boot);
		most = removed - before > most ? removed - before : most;
	}
	is_int(removed, 300, "many sessions are all removed");
	ok(most > 0 && most <= 8 && n > 30, "a few in a step");
	retention_free(r);
	retention_free(NULL);
}

int main(void)
{
	alarm(240);
	if (sodium_init() < 0)
		return 2;
	json_object_seed(0);
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	int top = scratch_open(), fds = open_fds();
	char err[512], path[PATH_MAX + 16];
	must(mkdirat(top, "store", 0700));
	snprintf(path, sizeof(path), "%s/store", scratch);
	must(store_open(path, err, sizeof(err), &store));
	test_due();
	test_clock();
	test_steps();
	test_jumps();
	test_paced();
	store_close(store);
	is_int(open_fds(), fds, "no descriptor is lost in all this");
	return tap_done();
}
