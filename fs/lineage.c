/* SPDX-License-Identifier: MIT */
#include "lineage.h"

#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>

#include "caller.h"
#include "util.h"

/* How often a walk starts again because a member died on the way. */
#define WALKS 16

struct line {
	pid_t tid;     /* whose line it is */
	unsigned refs; /* table lock */
	int n;
	pid_t tgids[LINEAGE_MAX];
	int pins[LINEAGE_MAX]; /* owned; [0] is the thread itself, [i] the process tgids[i] */
};

/* The cache: lines[0] is the most recently used. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line *lines[LINEAGE_CACHE]; /* table lock, as are these two; each holds one reference */
static unsigned nlines;
static int nfds;

static void line_free(struct line *l)
{
	if (!l)
		return;
	for (int i = 0; i < l->n; i++)
		close_fd(l->pins[i]);
	free(l);
}

static void cleanup_line(struct line **l)
{
	line_free(*l);
}

/* One attempt. -EAGAIN when a member died on the way. */
static int walk_once(pid_t tid, struct line **ret)
{
	_cleanup_(cleanup_line) struct line *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->tid = tid;
	l->refs = 1;

	pid_t tgid, ppid;
	int r = caller_pin_thread(tid, &l->pins[0]);
	if (r < 0)
		return r;
	l->n = 1;
	r = caller_pin_ids(l->pins[0], tid, &tgid, &ppid);
	if (r < 0)
		return r;
	l->tgids[0] = tgid;

	while (ppid > 0 && l->n < LINEAGE_MAX) {
		int i = l->n;
		r = caller_pin_process(ppid, &l->pins[i]);
		if (r == -ESRCH)
			return -EAGAIN;
		if (r < 0)
			return r;
		l->tgids[i] = ppid;
		l->n++;

		/* Still its parent, now that it is pinned? Then the pin is the parent's and no successor's. */
		pid_t again;
		r = caller_pin_ids(l->pins[i - 1], i == 1 ? tid : l->tgids[i - 1], &tgid, &again);
		if (r < 0 || again != ppid)
			return -EAGAIN;
		r = caller_pin_ids(l->pins[i], ppid, &tgid, &ppid);
		if (r < 0)
			return -EAGAIN;
	}
	*ret = steal_ptr(&l);
	return 0;
}

/* Every member lives: the line is as it was walked. */
static bool line_alive(const struct line *l)
{
	if (!caller_has_pidfds())
		return caller_alive(l->pins[0]);

	struct pollfd polls[LINEAGE_MAX];
	for (int i = 0; i < l->n; i++)
		polls[i] = (struct pollfd){.fd = l->pins[i], .events = POLLIN};
	int n;
	do
		n = poll(polls, (nfds_t)l->n, 0);
	while (n < 0 && errno == EINTR);
	return n == 0;
}

static int walk(pid_t tid, struct line **ret)
{
	int r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < WALKS; i++) {
		_cleanup_(cleanup_line) struct line *l = NULL;
		r = walk_once(tid, &l);
		if (r == 0 && !line_alive(l))
			r = -EAGAIN;
		if (r == 0)
			*ret = steal_ptr(&l);
	}
	return r == -EAGAIN ? -ESRCH : r;
}

/* Takes line i out of the table; its reference is now the caller's. Table lock held. */
static struct line *table_take(unsigned i)
{
	struct line *l = lines[i];
	nlines--;
	memmove(&lines[i], &lines[i + 1], (nlines - i) * sizeof(lines[0]));
	nfds -= l->n;
	return l;
}

static void table_push(struct line *l /* consumed */)
{
	memmove(&lines[1], &lines[0], nlines * sizeof(lines[0]));
	lines[0] = l;
	nlines++;
	nfds += l->n;
}

static int table_find(pid_t tid)
{
	for (unsigned i = 0; i < nlines; i++)
		if (lines[i]->tid == tid)
			return (int)i;
	return -1;
}

static void line_unref(struct line *l)
{
	pthread_mutex_lock(&lock);
	bool last = --l->refs == 0;
	pthread_mutex_unlock(&lock);
	if (last)
		line_free(l);
}

/* A dead line: its descriptors are worth nothing any more. */
static void cache_drop(const struct line *l)
{
	struct line *out = NULL;
	pthread_mutex_lock(&lock);
	int i = table_find(l->tid);
	if (i >= 0 && lines[i] == l)
		out = table_take((unsigned)i);
	pthread_mutex_unlock(&lock);
	if (out)
		line_unref(out);
}

/* Returns a reference; drop it with line_unref(). NULL if there is none. */
static struct line *cache_get(pid_t tid)
{
	struct line *l = NULL;
	pthread_mutex_lock(&lock);
	int i = table_find(tid);
	if (i >= 0) {
		l = table_take((unsigned)i);
		table_push(l);
		l->refs++;
	}
	pthread_mutex_unlock(&lock);
	return l;
}

/* LINEAGE_FDS, and where few descriptors are allowed an eighth of them: requests need the others. */
static int fd_bound(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur / 8 >= LINEAGE_FDS)
		return LINEAGE_FDS;
	return (int)(files.rlim_cur / 8);
}

static void cache_put(struct line *l /* consumed */)
{
	struct line *out[LINEAGE_CACHE];
	unsigned nout = 0;
	int bound = fd_bound();

	pthread_mutex_lock(&lock);
	int old = table_find(l->tid);
	if (old >= 0)
		out[nout++] = table_take((unsigned)old);
	while (nlines == LINEAGE_CACHE || (nlines && nfds + l->n > bound))
		out[nout++] = table_take(nlines - 1);
	table_push(l);
	pthread_mutex_unlock(&lock);

	while (nout > 0) /* closing is a system call: outside the lock */
		line_unref(out[--nout]);
}

static int line_copy(const struct line *l, pid_t tgids[static LINEAGE_MAX])
{
	memcpy(tgids, l->tgids, (size_t)l->n * sizeof(tgids[0]));
	return l->n;
}

int caller_lineage(pid_t tid, pid_t tgids[static LINEAGE_MAX])
{
	struct line *l = caller_has_pidfds() ? cache_get(tid) : NULL;
	if (l) {
		int n = line_alive(l) ? line_copy(l, tgids) : 0;
		if (!n)
			cache_drop(l);
		line_unref(l);
		if (n > 0)
			return n;
	}

	int r = walk(tid, &l);
	if (r < 0)
		return r;
	r = line_copy(l, tgids);
	if (caller_has_pidfds())
		cache_put(l); /* in the place of one that is dead */
	else
		line_free(l);
	return r;
}
