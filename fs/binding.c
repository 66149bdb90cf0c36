/* SPDX-License-Identifier: MIT */
#include "binding.h"

#include <pthread.h>

#include <sodium.h>

#include "caller.h"
#include "slots.h"
#include "stats.h"
#include "util.h"

#define BINDINGS_MAX (UINT32_C(1) << 17)
#define BUCKETS (UINT32_C(1) << 14)

struct binding_table {
	pthread_mutex_t lock;
	struct session_table *sessions;
	struct slots slots;
	struct binding *bindings;       /* the slots */
	uint32_t by_number[2][BUCKETS]; /* thread and process bindings, by tid and by pid */
	uint32_t by_name[BUCKETS];      /* handles */
	atomic_uint processes;          /* how many process bindings: nobody pays for them where there are none */
	unsigned char hash_key[crypto_shorthash_KEYBYTES];
};

struct binding_table *binding_table_new(struct session_table *sessions, unsigned max)
{
	struct binding_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	if (slots_init(&t->slots, struct binding, max < BINDINGS_MAX ? max : BINDINGS_MAX)) {
		free(t);
		return NULL;
	}
	t->bindings = (struct binding *)t->slots.base;
	t->sessions = sessions;
	pthread_mutex_init(&t->lock, NULL);
	randombytes_buf(t->hash_key, sizeof(t->hash_key));
	return t;
}

void binding_table_free(struct binding_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 1; i < t->slots.used; i++)
		if (t->bindings[i].refs) {
			close_fd(t->bindings[i].pin);
			session_put(t->sessions, t->bindings[i].session);
		}
	slots_fini(&t->slots);
	free(t);
}

const char *scope_name(enum scope scope)
{
	static const char *const names[SCOPES] = {"thread", "process", "handle"};
	return names[scope];
}

static pid_t number_of(const struct binding *b)
{
	return b->scope == SCOPE_THREAD ? b->tid : b->pid;
}

static uint32_t *name_bucket(struct binding_table *t, const char *name)
{
	/* Keyed, so that how long a lookup takes tells nothing of how near a guess was. */
	uint64_t h;
	crypto_shorthash((unsigned char *)&h, (const unsigned char *)name, HANDLE_NAME_LEN, t->hash_key);
	return &t->by_name[h % BUCKETS];
}

static uint32_t *bucket(struct binding_table *t, const struct binding *b)
{
	if (b->scope == SCOPE_HANDLE)
		return name_bucket(t, b->handle);
	return &t->by_number[b->scope][(uint32_t)number_of(b) % BUCKETS];
}

static struct binding *find_number(struct binding_table *t, enum scope scope, pid_t number)
{
	for (uint32_t i = t->by_number[scope][(uint32_t)number % BUCKETS]; i; i = t->bindings[i].chain)
		if (number_of(&t->bindings[i]) == number)
			return &t->bindings[i];
	return NULL;
}

/* Nobody finds it from here on. The table's own reference is the caller's to drop, without the lock. */
static void unlink_binding(struct binding_table *t, struct binding *b)
{
	uint32_t *at = bucket(t, b);
	while (*at != slot_of(b->id))
		at = &t->bindings[*at].chain;
	*at = b->chain;
	b->linked = false;
	b->ended = true;
	if (b->scope == SCOPE_PROCESS)
		t->processes--;
	stats_add(STATS_bindings_thread + b->scope, -1);
	stats_add(STATS_unbinds, 1);
}

int binding_make(struct binding_table *t, const struct binding *want, uint64_t *id, struct binding **displaced)
{
	char handle[HANDLE_NAME_LEN + 1] = "";
	if (want->scope == SCOPE_HANDLE) {
		unsigned char secret[32];
		randombytes_buf(secret, sizeof(secret));
		handle[0] = '~';
		sodium_bin2base64(handle + 1, sizeof(handle) - 1, secret, sizeof(secret),
				  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		sodium_memzero(secret, sizeof(secret));
	}

	pthread_mutex_lock(&t->lock);
	struct binding *old = want->scope == SCOPE_HANDLE ? NULL : find_number(t, want->scope, number_of(want));
	struct binding *b = slots_take(&t->slots);
	if (!b) {
		pthread_mutex_unlock(&t->lock);
		close_fd(want->pin);
		session_put(t->sessions, want->session);
		return -ENFILE;
	}
	if (old)
		unlink_binding(t, old);

	uint64_t number = b->id;
	memcpy(b, want, sizeof(*b));
	memcpy(b->handle, handle, sizeof(b->handle));
	b->id = number;
	b->ended = false;
	b->refs = 1; /* the table's */
	b->linked = true;
	b->chain = *bucket(t, b);
	*bucket(t, b) = slot_of(number);
	if (b->scope == SCOPE_PROCESS)
		t->processes++;
	*id = number;
	stats_add(STATS_bindings_thread + b->scope, 1);
	pthread_mutex_unlock(&t->lock);

	*displaced = old;
	return 0;
}

static struct binding *by_id(struct binding_table *t, uint64_t id)
{
	struct binding *b = slots_find(&t->slots, id);
	return b && b->linked ? b : NULL;
}

bool binding_end(struct binding_table *t, uint64_t id)
{
	pthread_mutex_lock(&t->lock);
	struct binding *b = by_id(t, id);
	if (b)
		unlink_binding(t, b);
	pthread_mutex_unlock(&t->lock);
	binding_put(t, b);
	return b != NULL;
}

void binding_put(struct binding_table *t, struct binding *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&t->lock);
	if (--b->refs) {
		pthread_mutex_unlock(&t->lock);
		return;
	}
	int pin = steal_fd(&b->pin);
	struct session *session = steal_ptr(&b->session);
	slots_give(&t->slots, b);
	pthread_mutex_unlock(&t->lock);
	close_fd(pin);
	session_put(t->sessions, session);
}

bool binding_alive(const struct binding *b)
{
	return b->scope == SCOPE_HANDLE || caller_alive(b->pin);
}

static struct binding *ref_number(struct binding_table *t, enum scope scope, pid_t number)
{
	pthread_mutex_lock(&t->lock);
	struct binding *b = find_number(t, scope, number);
	if (b)
		b->refs++;
	pthread_mutex_unlock(&t->lock);
	if (b && !binding_alive(b)) {
		binding_put(t, b); /* the number serves somebody else now; the reaper tidies up */
		b = NULL;
	}
	return b;
}

int binding_of(struct binding_table *t, pid_t tid, struct binding **ret)
{
	struct binding *b = ref_number(t, SCOPE_THREAD, tid);
	if (!b && t->processes) {
		pid_t line[LINEAGE_MAX];
		int n = caller_lineage(tid, line);
		if (n < 0)
			return n;
		for (int i = 0; i < n && !b; i++)
			b = ref_number(t, SCOPE_PROCESS, line[i]);
		if (!b && n == LINEAGE_MAX) /* perhaps cut, and bound further up */
			return -ELOOP;
	}
	*ret = b;
	return 0;
}

struct binding *binding_get(struct binding_table *t, uint64_t id)
{
	pthread_mutex_lock(&t->lock);
	struct binding *b = by_id(t, id);
	if (b)
		b->refs++;
	pthread_mutex_unlock(&t->lock);
	return b;
}

struct binding *binding_by_handle(struct binding_table *t, const char *name)
{
	if (strlen(name) != HANDLE_NAME_LEN)
		return NULL;
	struct binding *b = NULL;
	pthread_mutex_lock(&t->lock);
	for (uint32_t i = *name_bucket(t, name); i && !b; i = t->bindings[i].chain)
		if (sodium_memcmp(t->bindings[i].handle, name, HANDLE_NAME_LEN) == 0)
			b = &t->bindings[i];
	if (b)
		b->refs++;
	pthread_mutex_unlock(&t->lock);
	return b;
}

int binding_check(const struct binding *b, int64_t now)
{
	if (b->session->revoked)
		return -EKEYREVOKED;
	if (b->ended)
		return -ENOKEY;
	return now >= b->exp ? -EKEYEXPIRED : 0;
}

struct binding *binding_next(struct binding_table *t, uint32_t *at)
{
	struct binding *b = NULL;
	pthread_mutex_lock(&t->lock);
	while (!b && ++*at < t->slots.used)
		if (t->bindings[*at].linked)
			b = &t->bindings[*at];
	if (b)
		b->refs++;
	pthread_mutex_unlock(&t->lock);
	return b;
}
