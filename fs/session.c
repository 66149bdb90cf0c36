/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <pthread.h>

#include "slots.h"
#include "stats.h"
#include "util.h"

#define SESSIONS_MAX (UINT32_C(1) << 18)
#define BUCKETS (UINT32_C(1) << 16)

struct session_table {
	pthread_mutex_t lock;
	struct slots slots;
	struct session *sessions; /* the slots */
	uint32_t live;
	uint32_t buckets[BUCKETS];
};

struct session_table *session_table_new(unsigned max)
{
	struct session_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	if (slots_init(&t->slots, struct session, max < SESSIONS_MAX ? max : SESSIONS_MAX)) {
		free(t);
		return NULL;
	}
	t->sessions = (struct session *)t->slots.base;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void session_table_free(struct session_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 1; i < t->slots.used; i++)
		if (t->sessions[i].refs)
			close_fd(t->sessions[i].dir);
	slots_fini(&t->slots);
	free(t);
}

unsigned session_table_live(struct session_table *t)
{
	pthread_mutex_lock(&t->lock);
	unsigned live = t->live;
	pthread_mutex_unlock(&t->lock);
	return live;
}

static bool is_crowded(struct session_table *t)
{
	return session_table_live(t) > t->slots.max / 2;
}

/* The store's name is a hash already. */
static uint32_t *bucket(struct session_table *t, const char *name)
{
	uint32_t h = 0;
	for (int i = 0; i < 8; i++)
		h = h << 4 | (uint32_t)(name[i] <= '9' ? name[i] - '0' : name[i] - 'a' + 10);
	return &t->buckets[h % BUCKETS];
}

static struct session *find(struct session_table *t, const char *name)
{
	for (uint32_t i = *bucket(t, name); i; i = t->sessions[i].chain)
		if (strcmp(t->sessions[i].name, name) == 0)
			return &t->sessions[i];
	return NULL;
}

static void unlink_chain(struct session_table *t, struct session *s)
{
	for (uint32_t *at = bucket(t, s->name); *at; at = &t->sessions[*at].chain)
		if (*at == slot_of(s->id)) {
			*at = s->chain;
			return;
		}
}

static struct session *insert(struct session_table *t, const char *name)
{
	struct session *s = slots_take(&t->slots);
	if (!s)
		return NULL;
	memcpy(s->name, name, sizeof(s->name));
	s->chain = *bucket(t, name);
	*bucket(t, name) = slot_of(s->id);
	t->live++;
	stats_add(STATS_sessions, 1);
	return s;
}

struct session *session_enter(struct session_table *t, const char *sid, const char *sub, int dir)
{
	char name[SID_HASH_LEN + 1];
	sid_hash(sid, name);

	pthread_mutex_lock(&t->lock);
	struct session *s = find(t, name);
	if (s && strcmp(s->sub, sub) != 0) {
		s = NULL;
	} else if (s) {
		s->refs++;
	} else if ((s = insert(t, name))) {
		snprintf(s->sid, sizeof(s->sid), "%s", sid);
		snprintf(s->sub, sizeof(s->sub), "%s", sub);
		s->dir = steal_fd(&dir);
		s->refs = 1;
	}
	pthread_mutex_unlock(&t->lock);
	close_fd(dir);
	return s;
}

struct session *session_find(struct session_table *t, const char *sid)
{
	char name[SID_HASH_LEN + 1];
	sid_hash(sid, name);
	return session_find_name(t, name);
}

struct session *session_find_name(struct session_table *t, const char *name)
{
	pthread_mutex_lock(&t->lock);
	struct session *s = find(t, name);
	if (s)
		s->refs++;
	pthread_mutex_unlock(&t->lock);
	return s;
}

struct session *session_get(struct session_table *t, uint64_t id)
{
	pthread_mutex_lock(&t->lock);
	struct session *s = slots_find(&t->slots, id);
	if (s && !s->refs)
		s = NULL;
	if (s)
		s->refs++;
	pthread_mutex_unlock(&t->lock);
	return s;
}

void session_ref(struct session_table *t, struct session *s)
{
	pthread_mutex_lock(&t->lock);
	s->refs++;
	pthread_mutex_unlock(&t->lock);
}

void session_put(struct session_table *t, struct session *s)
{
	if (!s)
		return;
	int dir = -1;
	struct account *account = NULL;
	pthread_mutex_lock(&t->lock);
	if (--s->refs == 0) {
		dir = s->dir;
		account = s->account;
		unlink_chain(t, s);
		slots_give(&t->slots, s);
		t->live--;
		stats_add(STATS_sessions, -1);
	}
	pthread_mutex_unlock(&t->lock);
	close_fd(dir);
	quota_put(account);
}

void session_count(struct session *s, struct account *a)
{
	struct account *none = NULL;
	if (!atomic_compare_exchange_strong(&s->account, &none, a))
		quota_put(a);
}

void session_put_id(struct session_table *t, uint64_t id)
{
	session_put(t, &t->sessions[slot_of(id)]);
}

void session_touch(struct session_table *t, struct session *s, int64_t now)
{
	s->used = now;
	pthread_mutex_lock(&t->lock);
	s->refs += !s->dirty;
	s->dirty = true;
	pthread_mutex_unlock(&t->lock);
}

bool session_clean(struct session_table *t, struct session *s)
{
	pthread_mutex_lock(&t->lock);
	bool dirty = s->dirty;
	s->dirty = false;
	pthread_mutex_unlock(&t->lock);
	if (dirty)
		session_put(t, s);
	return dirty;
}

void session_bound(struct session_table *t, struct session *s, int64_t now, int64_t exp, const char *release)
{
	pthread_mutex_lock(&t->lock);
	if (exp > s->expires)
		s->expires = exp;
	if (*release) {
		s->mixed = s->mixed || (*s->release && strcmp(s->release, release) != 0);
		snprintf(s->release, sizeof(s->release), "%s", release);
	}
	pthread_mutex_unlock(&t->lock);
	session_touch(t, s, now);
}

void session_recall(struct session_table *t, struct session *s, const char *release)
{
	pthread_mutex_lock(&t->lock);
	if (!*s->release)
		snprintf(s->release, sizeof(s->release), "%s", release);
	pthread_mutex_unlock(&t->lock);
}

bool session_release(struct session_table *t, const struct session *s, char release[static RELEASE_MAX + 1])
{
	pthread_mutex_lock(&t->lock);
	memcpy(release, s->release, sizeof(s->release));
	bool mixed = s->mixed;
	pthread_mutex_unlock(&t->lock);
	return mixed;
}

void session_retire(struct session_table *t, struct session *s)
{
	pthread_mutex_lock(&t->lock);
	unlink_chain(t, s);
	s->chain = 0;
	pthread_mutex_unlock(&t->lock);
}

struct session *session_next_unused(struct session_table *t, uint32_t *at, int64_t now)
{
	struct session *s;
	if (!is_crowded(t))
		return NULL;
	while ((s = session_next(t, at)) && (now - s->used <= SESSION_UNUSED || now - s->held <= SESSION_UNUSED))
		session_put(t, s);
	return s;
}

struct session *session_next(struct session_table *t, uint32_t *at)
{
	struct session *s = NULL;
	pthread_mutex_lock(&t->lock);
	while (!s && ++*at < t->slots.used)
		if (t->sessions[*at].refs)
			s = &t->sessions[*at];
	if (s)
		s->refs++;
	pthread_mutex_unlock(&t->lock);
	return s;
}
