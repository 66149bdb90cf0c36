/* SPDX-License-Identifier: MIT */
#include "node.h"

#include <pthread.h>
#include <sys/mman.h>

#include <sodium.h>

#include "slots.h"
#include "stats.h"
#include "util.h"

/* 8 million nodes of 160 bytes are reserved, not used: pages come as slots are first taken. */
#define NODES_MAX (UINT32_C(1) << 23)
#define BUCKETS (UINT32_C(1) << 20)

struct node_table {
	pthread_mutex_t lock;
	const struct backing *backing;
	node_gone_fn *gone;
	void *gone_ctx;
	struct slots slots;
	struct node *nodes; /* the slots; 0 is the ends of the cache's list */
	uint32_t *buckets;  /* [BUCKETS] first slot of a chain */
	unsigned nfds, max_fds;
	unsigned char hash_key[crypto_shorthash_KEYBYTES]; /* file names are the users': no crafted collisions */
};

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

struct node_table *node_table_new(const struct backing *b, unsigned max_fds, node_gone_fn *gone, void *ctx)
{
	struct node_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	*t = (struct node_table){.backing = b, .gone = gone, .gone_ctx = ctx, .max_fds = max_fds};
	slots_init(&t->slots, struct node, NODES_MAX);
	t->nodes = (struct node *)t->slots.base;
	t->buckets = reserve(BUCKETS * sizeof(*t->buckets));
	if (!t->nodes || !t->buckets) {
		node_table_free(t);
		return NULL;
	}
	pthread_mutex_init(&t->lock, NULL);
	randombytes_buf(t->hash_key, sizeof(t->hash_key));
	return t;
}

void node_table_free(struct node_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 1; i < t->slots.used; i++)
		if (t->nodes[i].linked)
			close_fd(t->nodes[i].fd);
	slots_fini(&t->slots);
	if (t->buckets)
		munmap(t->buckets, BUCKETS * sizeof(*t->buckets));
	free(t);
}

void node_lock(struct node_table *t)
{
	pthread_mutex_lock(&t->lock);
}

void node_unlock(struct node_table *t)
{
	pthread_mutex_unlock(&t->lock);
}

/* ---- identity: the same file by another route is in the same chain, so route is not hashed ---- */

static uint32_t *bucket(struct node_table *t, uint64_t session, const struct backing_key *key)
{
	uint64_t h;
	struct {
		uint64_t session, dev, ino;
	} in = {session, key->dev, key->ino};
	crypto_shorthash((unsigned char *)&h, (const unsigned char *)&in, sizeof(in), t->hash_key);
	return &t->buckets[h % BUCKETS];
}

static struct node *find(struct node_table *t, uint64_t session, uint64_t route, const struct backing_key *key)
{
	for (uint32_t i = *bucket(t, session, key); i; i = t->nodes[i].chain) {
		struct node *n = &t->nodes[i];
		if (n->session == session && n->route == route && backing_key_equal(&n->key, key))
			return n;
	}
	return NULL;
}

static void unlink_chain(struct node_table *t, struct node *n)
{
	uint32_t *at = bucket(t, n->session, &n->key);
	while (*at != slot_of(n->id))
		at = &t->nodes[*at].chain;
	*at = n->chain;
}

/*
 * ---- the descriptor cache: nodes with an unpinned fd, slots[0].newer is the oldest, slots[0].older the newest ----
 */

static void order_remove(struct node_table *t, struct node *n)
{
	if (!n->newer && !n->older && t->nodes[0].newer != slot_of(n->id))
		return;
	t->nodes[n->older].newer = n->newer;
	t->nodes[n->newer].older = n->older;
	n->newer = n->older = 0;
}

static void order_append(struct node_table *t, struct node *n)
{
	struct node *ends = &t->nodes[0];
	n->older = ends->older;
	n->newer = 0;
	t->nodes[n->older].newer = slot_of(n->id);
	ends->older = slot_of(n->id);
}

/* Takes n's descriptor out of the cache, for the caller to close without the lock. */
static int take_fd(struct node_table *t, struct node *n)
{
	if (n->fd < 0)
		return -1;
	order_remove(t, n);
	t->nfds--;
	stats_add(STATS_backing_fds, -1);
	return steal_fd(&n->fd);
}

static void put_fd(struct node_table *t, struct node *n, int fd)
{
	n->fd = fd;
	t->nfds++;
	stats_add(STATS_backing_fds, 1);
}

/* The descriptor that has to go, or -1. A key without a handle needs its own, and is never in the order. */
static int evict(struct node_table *t)
{
	if (t->nfds <= t->max_fds || !t->nodes[0].newer)
		return -1;
	return take_fd(t, &t->nodes[t->nodes[0].newer]);
}

static void idle_fd(struct node_table *t, struct node *n)
{
	if (n->fd >= 0 && !n->pins && n->key.bytes)
		order_append(t, n);
}

/* ---- life ---- */

/*
 * Frees n when nothing holds it. *fd is for the caller to close, and true means gone() is to be called, both without
 * the lock.
 */
static bool release(struct node_table *t, struct node *n, int *fd)
{
	*fd = -1;
	if (n->nlookup || n->refs)
		return false;
	*fd = take_fd(t, n);
	unlink_chain(t, n);
	n->linked = false;
	slots_give(&t->slots, n);
	stats_add(STATS_nodes, -1);
	return true;
}

static void unlock_released(struct node_table *t, bool gone, uint64_t session, int fd)
{
	node_unlock(t);
	close_fd(fd);
	if (gone)
		t->gone(t->gone_ctx, session);
}

struct node *node_intern(struct node_table *t, uint64_t session, uint64_t route, const struct backing_key *key,
			 const struct stat *st, uint64_t parent, int fd, bool keep, bool *fresh)
{
	int evicted = -1;
	*fresh = false;
	node_lock(t);
	struct node *n = find(t, session, route, key);
	if (!n && (n = slots_take(&t->slots))) {
		uint32_t *head = bucket(t, session, key);
		n->fd = -1;
		n->session = session;
		n->route = route;
		n->key = *key;
		n->type = st->st_mode & S_IFMT;
		n->linked = *fresh = true;
		n->chain = *head;
		*head = slot_of(n->id);
		stats_add(STATS_nodes, 1);
	}
	if (n) {
		n->nlookup++;
		n->refs++;
		n->parent = parent;
		n->mode = st->st_mode & 07777;
		n->uid = st->st_uid;
		n->gid = st->st_gid;
		if (n->fd < 0 && (keep || !key->bytes)) {
			put_fd(t, n, steal_fd(&fd));
			idle_fd(t, n);
			evicted = evict(t);
		}
	}
	node_unlock(t);
	close_fd(fd);
	close_fd(evicted);
	return n;
}

struct node *node_find(struct node_table *t, uint64_t session, uint64_t route, const struct backing_key *key,
		       bool count)
{
	node_lock(t);
	struct node *n = find(t, session, route, key);
	if (n && !n->nlookup)
		n = NULL; /* held by a request alone: the kernel does not know it */
	if (n) {
		n->nlookup += count;
		n->refs++;
	}
	node_unlock(t);
	return n;
}

static struct node *by_id(struct node_table *t, uint64_t id)
{
	struct node *n = slots_find(&t->slots, id);
	return n && n->linked ? n : NULL;
}

struct node *node_get(struct node_table *t, uint64_t id)
{
	node_lock(t);
	struct node *n = by_id(t, id);
	if (n)
		n->refs++;
	node_unlock(t);
	return n;
}

void node_ref(struct node_table *t, struct node *n)
{
	node_lock(t);
	n->refs++;
	node_unlock(t);
}

void node_put(struct node_table *t, struct node *n)
{
	if (!n)
		return;
	int fd;
	node_lock(t);
	n->refs--;
	uint64_t session = n->session;
	bool gone = release(t, n, &fd);
	unlock_released(t, gone, session, fd);
}

void node_forget(struct node_table *t, uint64_t id, uint64_t count)
{
	node_lock(t);
	struct node *n = by_id(t, id);
	if (!n) {
		node_unlock(t);
		return;
	}
	int fd;
	n->nlookup -= count < n->nlookup ? count : n->nlookup;
	uint64_t session = n->session;
	bool gone = release(t, n, &fd);
	unlock_released(t, gone, session, fd);
}

int node_pin(struct node_table *t, struct node *n, int *ret)
{
	node_lock(t);
	n->pins++;
	if (n->fd >= 0) {
		order_remove(t, n);
		*ret = n->fd;
		node_unlock(t);
		return 0;
	}
	node_unlock(t);

	int fd = -1, evicted = -1;
	int err = n->key.bytes ? backing_open_key(t->backing, &n->key, &fd) : -ESTALE;

	node_lock(t);
	if (n->fd < 0 && !err) {
		put_fd(t, n, steal_fd(&fd));
		evicted = evict(t);
	}
	if (n->fd >= 0)
		*ret = n->fd; /* ours, or another thread's who was quicker */
	else
		n->pins--;
	err = n->fd >= 0 ? 0 : err;
	node_unlock(t);
	close_fd(fd);
	close_fd(evicted);
	return err;
}

void node_unpin(struct node_table *t, struct node *n)
{
	node_lock(t);
	n->pins--;
	idle_fd(t, n);
	int evicted = evict(t);
	node_unlock(t);
	close_fd(evicted);
}

/* ---- the tree above a node ---- */

void node_note(struct node_table *t, struct node *n, const struct stat *st)
{
	node_lock(t);
	for (uint32_t i = *bucket(t, n->session, &n->key); i; i = t->nodes[i].chain) {
		struct node *same = &t->nodes[i];
		if (same->session == n->session && backing_key_equal(&same->key, &n->key)) {
			same->mode = st->st_mode & 07777;
			same->uid = st->st_uid;
			same->gid = st->st_gid;
		}
	}
	node_unlock(t);
}

void node_moved(struct node_table *t, struct node *n, uint64_t parent)
{
	node_lock(t);
	n->parent = parent;
	node_unlock(t);
}

#define DEPTH_MAX 4096 /* a path is at most PATH_MAX; a cycle, which only a race of moves could fake, ends here */

bool node_searchable(struct node_table *t, const struct node *n, uid_t uid, gid_t gid, bool (*in_group)(gid_t))
{
	if (uid == 0)
		return true;

	bool may = true;
	node_lock(t);
	const struct node *up = by_id(t, n->parent);
	for (int depth = 0; up && may && depth < DEPTH_MAX; depth++, up = by_id(t, up->parent)) {
		if ((up->mode & 0111) == 0111)
			continue;
		if (up->uid == uid)
			may = up->mode & 0100;
		else if (up->gid == gid || in_group(up->gid))
			may = up->mode & 0010;
		else
			may = up->mode & 0001;
	}
	node_unlock(t);
	return may;
}

bool node_is_open(struct node_table *t, const struct node *n)
{
	node_lock(t);
	bool open = n->nopen > 0;
	node_unlock(t);
	return open;
}

bool node_is_open_by(struct node_table *t, const struct node *n, uid_t uid)
{
	node_lock(t);
	bool open = n->nopen > 0 && (n->opener == uid || n->opener == (uid_t)-1);
	node_unlock(t);
	return open;
}
