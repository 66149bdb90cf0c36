/* SPDX-License-Identifier: MIT */
#include "release.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>

#include "exposition.h"
#include "log.h"
#include "requirement.h"
#include "util.h"

struct worker {
	pid_t pid;
	char release[RELEASE_MAX + 1];
	int64_t last;
	uint64_t refused; /* the version of the requirement under which it was refused; 0: never */
};

struct release_guard {
	enum config_release policy; /* const */
	int storefd;                /* const; borrowed */

	pthread_mutex_t lock; /* guards what follows */
	bool known;           /* whether order was ever read */
	int error;            /* of the last reading, said in the log already */
	struct requirement order;
	struct worker workers[RELEASE_WORKERS];
	size_t n_workers;
	struct heartbeat_release releases[HEARTBEAT_RELEASES_MAX];
	size_t n_releases;
};

struct release_guard *release_guard_new(enum config_release policy, int storefd)
{
	struct release_guard *g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->policy = policy;
	g->storefd = storefd;
	pthread_mutex_init(&g->lock, NULL);
	release_refresh(g);
	return g;
}

void release_guard_free(struct release_guard *g)
{
	if (!g)
		return;
	pthread_mutex_destroy(&g->lock);
	free(g);
}

/* ---- what is required ---- */

static void say_order(const struct requirement *r)
{
	if (!*r->required)
		log_info("release.json: any release may serve");
	else if (*r->draining)
		log_info("release.json: %s is required; %s is admitted for the sessions that it serves, for %" PRId64
			 " s",
			 r->required, r->draining, r->until - r->since);
	else
		log_info("release.json: %s is required", r->required);
}

static void say_error(int err, bool known)
{
	if (err == -ENOENT)
		log_warn(
			"release.json: missing: %s",
			known ? "what it said last stays in force"
			      : "release.policy is require, so every bind is refused until session-release(1) names one");
	else
		log_error("release.json: %s: %s",
			  err == -EUCLEAN ? "not one that session-release(1) wrote" : strerror(-err),
			  known ? "what it said last stays in force" : "every bind is refused");
}

void release_refresh(struct release_guard *g)
{
	if (g->policy != RELEASE_POLICY_REQUIRE)
		return;
	struct requirement r = {0};
	int err = requirement_read(g->storefd, &r);

	pthread_mutex_lock(&g->lock);
	bool news = err ? err != g->error : g->error || !g->known || r.version != g->order.version;
	if (!err) {
		g->order = r;
		g->known = true;
	}
	bool known = g->known;
	g->error = err;
	pthread_mutex_unlock(&g->lock);

	if (news && err)
		say_error(err, known);
	else if (news)
		say_order(&r);
}

enum release_verdict release_judge(struct release_guard *g, const char *release, int64_t now)
{
	if (g->policy != RELEASE_POLICY_REQUIRE)
		return RELEASE_ADMITTED;
	enum release_verdict verdict = RELEASE_REFUSED;
	pthread_mutex_lock(&g->lock);
	const struct requirement *r = &g->order;
	if (g->known && (!*r->required || strcmp(release, r->required) == 0))
		verdict = RELEASE_ADMITTED;
	else if (g->known && *r->draining && strcmp(release, r->draining) == 0 && now < r->until)
		verdict = RELEASE_DRAINING;
	pthread_mutex_unlock(&g->lock);
	return verdict;
}

/* ---- who runs what ---- */

/* The worker of a pid, or its place: a free one, or that of the one that was heard of longest ago. Under the lock. */
static struct worker *worker_of(struct release_guard *g, pid_t pid)
{
	struct worker *oldest = &g->workers[0];
	for (size_t i = 0; i < g->n_workers; i++) {
		struct worker *w = &g->workers[i];
		if (w->pid == pid)
			return w;
		if (w->last < oldest->last)
			oldest = w;
	}
	if (g->n_workers < RELEASE_WORKERS)
		oldest = &g->workers[g->n_workers++];
	*oldest = (struct worker){.pid = pid};
	return oldest;
}

static struct worker *note_worker(struct release_guard *g, pid_t pid, const char *release, int64_t now)
{
	struct worker *w = worker_of(g, pid);
	if (strcmp(w->release, release) != 0)
		*w = (struct worker){.pid = pid};
	snprintf(w->release, sizeof(w->release), "%s", release);
	w->last = now;
	return w;
}

/*
 * Kept in the order of their last bind, refused or not: the one at hand comes to the front, the last falls out. Under the
 * lock.
 */
static void note_release(struct release_guard *g, const char *release, int64_t now, bool bound)
{
	struct heartbeat_release r = {0};
	size_t i = 0;
	while (i < g->n_releases && strcmp(g->releases[i].release, release) != 0)
		i++;
	if (i < g->n_releases)
		r = g->releases[i];
	else if (g->n_releases < HEARTBEAT_RELEASES_MAX)
		g->n_releases++;
	else
		i--;
	memmove(&g->releases[1], &g->releases[0], i * sizeof(r));
	snprintf(r.release, sizeof(r.release), "%s", release);
	r.binds += bound;
	r.last = now;
	g->releases[0] = r;
}

void release_bound(struct release_guard *g, pid_t pid, const char *release, int64_t now)
{
	if (g->policy == RELEASE_POLICY_OFF)
		return;
	pthread_mutex_lock(&g->lock);
	note_worker(g, pid, release, now)->refused = 0;
	note_release(g, release, now, true);
	pthread_mutex_unlock(&g->lock);
}

bool release_refused(struct release_guard *g, pid_t pid, const char *release, int64_t now)
{
	pthread_mutex_lock(&g->lock);
	struct worker *w = note_worker(g, pid, release, now);
	uint64_t version = g->order.version + 1; /* 0 is "never", and the version before there is a file */
	bool first = w->refused != version;
	w->refused = version;
	note_release(g, release, now, false);
	pthread_mutex_unlock(&g->lock);
	return first;
}

static void forget_dead_workers(struct release_guard *g)
{
	pid_t pids[RELEASE_WORKERS];
	pthread_mutex_lock(&g->lock);
	size_t n = g->n_workers;
	for (size_t i = 0; i < n; i++)
		pids[i] = g->workers[i].pid;
	pthread_mutex_unlock(&g->lock);

	for (size_t i = 0; i < n; i++)
		if (kill(pids[i], 0) == 0 || errno != ESRCH)
			pids[i] = 0;

	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; pids[i] && at < g->n_workers; at++)
			if (g->workers[at].pid == pids[i])
				g->workers[at] = g->workers[--g->n_workers];
	pthread_mutex_unlock(&g->lock);
}

size_t release_list(struct release_guard *g, struct heartbeat_release list[static HEARTBEAT_RELEASES_MAX])
{
	forget_dead_workers(g);
	pthread_mutex_lock(&g->lock);
	size_t n = g->n_releases;
	memcpy(list, g->releases, n * sizeof(*list));
	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at < g->n_workers; at++) {
			const struct worker *w = &g->workers[at];
			if (strcmp(w->release, list[i].release) == 0)
				++*(w->refused ? &list[i].refused : &list[i].workers);
		}
	pthread_mutex_unlock(&g->lock);
	return n;
}

void release_metrics(struct release_guard *g, FILE *f)
{
	struct heartbeat_release list[HEARTBEAT_RELEASES_MAX];
	size_t n = release_list(g, list);
	if (!n)
		return;
	exposition_family(f, "sessionfs_release_workers", "gauge",
			  "Living workers by the release that they bound with.");
	for (size_t i = 0; i < n; i++) {
		fputs("sessionfs_release_workers{", f);
		exposition_label(f, "release", list[i].release);
		fprintf(f, "} %" PRIu64 "\n", list[i].workers);
	}
	exposition_family(f, "sessionfs_release_binds_total", "counter", "Binds by release.");
	for (size_t i = 0; i < n; i++) {
		fputs("sessionfs_release_binds_total{", f);
		exposition_label(f, "release", list[i].release);
		fprintf(f, "} %" PRIu64 "\n", list[i].binds);
	}
}
