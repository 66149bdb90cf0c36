/* SPDX-License-Identifier: MIT */
#include "quota.h"

#include <limits.h>
#include <pthread.h>
#include <time.h>

#include "count.h"
#include "log.h"
#include "priority.h"
#include "record.h"
#include "users.h"
#include "util.h"

#define BUCKETS 4096
#define STEP_MS 1000      /* between two rounds */
#define COUNT_AGAIN 30000 /* ms: after a count that failed */
#define BUSY_AGAIN 2000   /* ms: after one that others disturbed */
#define STUCK_MAX 256     /* accounts that nobody uses, and that can't be written */

struct quota {
	struct writer writer;
	struct witness witness; /* of the thread that counts */

	pthread_mutex_t lock;
	struct account *buckets[BUCKETS];
	struct account *users[BUCKETS]; /* rings, by the user's hash; users may share one */

	pthread_t threads[2];
	pthread_mutex_t wake_lock;
	pthread_cond_t wake;
	unsigned started;
	bool stop;
};

/* ---- the table ---- */

/* Names and users are hashes already. */
static unsigned bucket_of(const char *hash)
{
	unsigned h = 0;
	for (int i = 0; i < 8; i++)
		h = h << 4 | (unsigned)(hash[i] <= '9' ? hash[i] - '0' : hash[i] - 'a' + 10);
	return h % BUCKETS;
}

static void ring_enter(struct quota *q, struct account *a)
{
	struct account **head = &q->users[bucket_of(a->user)];
	struct account *at = *head;
	a->newer = a->older = a;
	if (at) {
		a->newer = at;
		a->older = at->older;
		at->older->newer = a;
		at->older = a;
	}
	*head = a;
}

static void ring_leave(struct quota *q, struct account *a)
{
	struct account **head = &q->users[bucket_of(a->user)];
	if (*head == a)
		*head = a->newer == a ? NULL : a->newer;
	a->newer->older = a->older;
	a->older->newer = a->newer;
	a->newer = a->older = a;
}

static void link_account(struct quota *q, struct account *a)
{
	struct account **head = &q->buckets[bucket_of(a->name)];
	a->quota = q;
	a->linked = true;
	a->next = *head;
	*head = a;
	ring_enter(q, a);
}

static void unlink_account(struct quota *q, struct account *a)
{
	for (struct account **at = &q->buckets[bucket_of(a->name)]; *at; at = &(*at)->next)
		if (*at == a) {
			*at = a->next;
			break;
		}
	ring_leave(q, a);
	a->linked = false;
}

static void set_gone(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	a->gone = true;
	pthread_mutex_unlock(&a->lock);
}

/* One that has the name, but is of a directory that was there before, or of another user, goes. */
static struct account *find_or_make(struct quota *q, const char *name, const char *user, int dir)
{
	struct account *made = account_new(&q->writer, name, user, dir), *old = NULL;
	if (!made)
		return NULL;
	pthread_mutex_lock(&q->lock);
	struct account *a = q->buckets[bucket_of(name)];
	while (a && strcmp(a->name, name) != 0)
		a = a->next;
	if (a && (strcmp(a->user, user) != 0 || a->dev != made->dev || a->ino != made->ino)) {
		set_gone(a);
		unlink_account(q, a);
		old = a->refs ? NULL : a;
		a = NULL;
	}
	if (!a)
		link_account(q, a = steal_ptr(&made));
	a->refs++;
	pthread_mutex_unlock(&q->lock);
	if (old)
		account_free(old);
	if (made)
		account_free(made);
	return a;
}

void quota_ref(struct account *a)
{
	pthread_mutex_lock(&a->quota->lock);
	a->refs++;
	pthread_mutex_unlock(&a->quota->lock);
}

/* Those in the table stay, for the thread to write and free; a retired one goes with its last user. */
void quota_put(struct account *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->quota->lock);
	bool last = --a->refs == 0 && !a->linked;
	pthread_mutex_unlock(&a->quota->lock);
	if (last)
		account_free(a);
}

void quota_retire(struct account *a)
{
	if (!a)
		return;
	set_gone(a);
	pthread_mutex_lock(&a->quota->lock);
	if (a->linked)
		unlink_account(a->quota, a);
	pthread_mutex_unlock(&a->quota->lock);
}

/* ---- siblings: what other sessions of the same user keep idle here ---- */

static struct account *next_sibling(struct account *a, const struct account *of)
{
	struct account *at = a->newer;
	while (at != of && strcmp(at->user, of->user) != 0)
		at = at->newer;
	return at == of ? NULL : at;
}

static void call_in(struct account *of)
{
	struct quota *q = of->quota;
	pthread_mutex_lock(&q->lock);
	struct account *a = of->linked ? next_sibling(of, of) : NULL;
	while (a) {
		a->refs++;
		pthread_mutex_unlock(&q->lock);
		account_give_back(a);
		pthread_mutex_lock(&q->lock);
		struct account *next = a->linked && of->linked ? next_sibling(a, of) : NULL;
		bool last = --a->refs == 0 && !a->linked;
		if (last)
			account_free(a);
		a = next;
	}
	pthread_mutex_unlock(&q->lock);
}

int64_t quota_take(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files)
{
	int64_t r = account_take(a, l, bytes, least, files, false);
	if (r == -EUSERS) {
		call_in(a); /* no two accounts are ever locked */
		r = account_take(a, l, bytes, least, files, true);
	}
	return r;
}

/* ---- the sessions of a user that nobody has counted ---- */

/* What count_take() says where it is not the time. */
static bool is_later(int r)
{
	return r == -EBUSY || r == -EAGAIN || r == -E2BIG;
}

struct user_count {
	struct store *store;
	const struct account *account;
	struct witness *witness;
	uint64_t most; /* names that may be counted yet; 0: any number */
	bool complete;
};

/* One that is in use has an account, here or elsewhere, and is counted by that. */
static int count_session(void *ctx, const char *name)
{
	struct user_count *u = ctx;
	const struct usage none = {0, 0};
	struct ledger_sum sum;
	struct count c;
	_cleanup_close_ int dir = -1;
	int r = store_session_dir(u->store, name, &dir);
	if (r || record_is_same(dir, u->account->dir))
		return r == -ENOENT ? 0 : r;
	r = ledger_read(dir, NULL, NULL, NULL, &sum);
	if (r == 0 && (!sum.counted || sum.garbage)) {
		r = count_take(dir, NULL, u->witness, u->most, u->most == 0, &c);
		if (r == 0)
			r = count_keep(u->store, dir, NULL, u->witness, &c, &none);
		if (r == 0 && u->most)
			u->most = u->most > (uint64_t)c.tree.files + 1 ? u->most - (uint64_t)c.tree.files - 1 : 1;
	}
	if (is_later(r))
		u->complete = false;
	return is_later(r) || r == -ENOENT ? 0 : r;
}

static int count_user(struct account *a, struct witness *w, uint64_t most)
{
	struct user_count u = {a->writer->store, a, w, most, true};
	int r = users_each(u.store, a->user, count_session, &u);
	pthread_mutex_lock(&a->lock);
	a->user_counted = r == 0 && u.complete;
	a->limited_user = true;
	pthread_mutex_unlock(&a->lock);
	return r;
}

bool quota_is_counted(struct quota *q, int dir, const char *sub)
{
	struct ledger_sum sum;
	bool has_ledger = ledger_read(dir, NULL, NULL, NULL, &sum) == 0 && (sum.counted || sum.lines || sum.garbage);
	return has_ledger || users_is_limited(q->writer.store, sub);
}

/* With a->ledger. What is left to be counted is the thread's, which also knows who is dead. */
static int begin(struct account *a, const char *sub, const struct limits *l, bool live)
{
	int r = account_load(a);
	if (r)
		return r;
	pthread_mutex_lock(&a->lock);
	if (live) {
		a->unsure = a->dirty = true; /* also for whoever finds our line after a crash */
		a->counts_left = 2;
		a->count_after = account_now() +
				 STEP_MS; /* what is under way and knows of no account is over by then */
	}
	bool count = !a->counted && !live, count_siblings = limits_of_user(l) && !a->user_counted;
	pthread_mutex_unlock(&a->lock);
	if (count)
		r = account_count_now(a, NULL, QUOTA_COUNTED_AT_ONCE);
	if (count_siblings && (!r || is_later(r))) {
		bool fresh; /* it was made before its user was limited, or while one of its name was removed */
		r = users_enter(a->writer->store, sub, a->name, LIMIT_NONE, &fresh);
		(void)users_limit(a->writer->store, sub); /* on a full disk it is for the next */
		r = r ? r : count_user(a, NULL, QUOTA_COUNTED_AT_ONCE);
	}
	return is_later(r) ? 0 : r;
}

int quota_account(struct quota *q, int dir, const char *name, const char *sub, const struct limits *l, bool live,
		  struct account **ret)
{
	char user[SID_HASH_LEN + 1];
	user_hash(sub, user);
	struct account *a = find_or_make(q, name, user, dir);
	if (!a)
		return -ENOMEM;
	pthread_mutex_lock(&a->ledger);
	int r = begin(a, sub, l, live);
	pthread_mutex_unlock(&a->ledger);
	if (r) {
		quota_put(a);
		return r;
	}
	*ret = a;
	return 0;
}

/* ---- the threads ---- */

/*
 * Nobody's accounts are forgotten when all is written; of those that can't be, on a full disk or a dead one, as many as
 * `stuck` are kept, with a descriptor each. What is forgotten then counts more than is there, until somebody recounts it.
 */
static void each_account(struct quota *q, void (*visit)(struct account *a, int64_t now), int64_t now, unsigned stuck)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		pthread_mutex_lock(&q->lock);
		struct account *a = q->buckets[i];
		while (a) {
			a->refs++;
			pthread_mutex_unlock(&q->lock);
			visit(a, now);
			pthread_mutex_lock(&q->lock);
			bool done = account_is_settled(a); /* here, where nobody gets it anew */
			struct account *next = a->linked ? a->next : q->buckets[i]; /* some are visited twice then */
			bool nobodys = --a->refs == 0;
			if (nobodys && !done) {
				done = stuck == 0;
				stuck -= stuck > 0;
			}
			if (nobodys && (done || !a->linked)) {
				if (a->linked)
					unlink_account(q, a);
				account_free(a);
			}
			a = next;
		}
		pthread_mutex_unlock(&q->lock);
	}
}

static void step_account(struct account *a, int64_t now)
{
	(void)now;
	account_step(a);
}

void quota_step(struct quota *q)
{
	each_account(q, step_account, 0, STUCK_MAX);
}

static void tell(const struct account *a, int r)
{
	if (r == 0)
		log_info("session %.12s: counted anew", a->name);
	else if (!is_later(r) && r != -ENOENT)
		log_warn("session %.12s: cannot be counted: %s", a->name, strerror(-r));
}

static void count_account(struct account *a, int64_t now)
{
	struct quota *q = a->quota;
	pthread_mutex_lock(&a->lock);
	bool due = a->loaded && !a->gone && now >= a->count_after;
	bool own = due && (a->unsure || a->counts_left), siblings = due && a->limited_user && !a->user_counted;
	pthread_mutex_unlock(&a->lock);
	if (!own && !siblings)
		return;
	q->witness.now = now;
	int r = own ? account_count(a, &q->witness, 0) : 0;
	if (own)
		tell(a, r);
	if (siblings)
		(void)count_user(a, &q->witness, 0);
	pthread_mutex_lock(&a->lock);
	a->counts_left -= own && r == 0 && a->counts_left;
	if (a->counts_left)
		r = r ? r : -ECANCELED; /* not so soon */
	bool again = a->unsure || a->counts_left || (a->limited_user && !a->user_counted);
	a->count_after = !again ? 0 : now + (r && !is_later(r) ? COUNT_AGAIN : BUSY_AGAIN);
	pthread_mutex_unlock(&a->lock);
}

void quota_count(struct quota *q, int64_t now)
{
	each_account(q, count_account, now, UINT_MAX);
}

/* False when it is time to end. */
static bool sleep_until_next(struct quota *q)
{
	struct timespec next;
	clock_gettime(CLOCK_MONOTONIC, &next);
	next.tv_nsec += STEP_MS * 1000000L;
	next.tv_sec += next.tv_nsec / 1000000000L;
	next.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&q->wake_lock);
	while (!q->stop && pthread_cond_timedwait(&q->wake, &q->wake_lock, &next) == 0)
		;
	bool stop = q->stop;
	pthread_mutex_unlock(&q->wake_lock);
	return !stop;
}

static void *run_steps(void *arg)
{
	priority_lower();
	while (sleep_until_next(arg))
		quota_step(arg);
	return NULL;
}

/* A thread of its own: a tree may take long, and what others wait for is to be given back meanwhile. */
static void *run_counts(void *arg)
{
	priority_lower();
	while (sleep_until_next(arg))
		quota_count(arg, account_now());
	return NULL;
}

struct quota *quota_new(struct store *s, const char *instance, const char *run, const struct limits *l)
{
	struct quota *q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->writer = (struct writer){.store = s, .instance = instance, .run = run, .limits = *l};
	q->witness.storefd = store_fd(s);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->wake_lock, NULL);
	pthread_cond_init(&q->wake, &attr);
	pthread_condattr_destroy(&attr);
	return q;
}

int quota_start(struct quota *q)
{
	void *(*const runs[])(void *) = {run_steps, run_counts};
	for (size_t i = 0; i < ARRAY_LEN(runs); i++, q->started++) {
		int r = pthread_create(&q->threads[i], NULL, runs[i], q);
		if (r)
			return -r;
	}
	return 0;
}

void quota_beat(struct quota *q, int64_t before)
{
	struct writer *w = &q->writer;
	if (before - w->beat >= LEDGER_LEASE)
		w->since = before;
	w->beat = before;
}

static void finish_account(struct account *a, int64_t now)
{
	(void)now;
	int r = account_finish(a);
	if (r && r != -ENOENT)
		log_warn("session %.12s: usage: %s; it is counted at the next bind", a->name, strerror(-r));
}

void quota_stop(struct quota *q)
{
	pthread_mutex_lock(&q->wake_lock);
	q->stop = true;
	pthread_cond_broadcast(&q->wake);
	pthread_mutex_unlock(&q->wake_lock);
	while (q->started > 0)
		pthread_join(q->threads[--q->started], NULL);
	each_account(q, finish_account, 0, UINT_MAX);
}

void quota_free(struct quota *q)
{
	if (!q)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		while (q->buckets[i]) {
			struct account *a = q->buckets[i];
			unlink_account(q, a);
			account_free(a);
		}
	free(q);
}
