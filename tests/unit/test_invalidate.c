/* SPDX-License-Identifier: MIT */
/* What the kernel is told of names, while it does not listen. */
#include "invalidate.h"

#include <fuse_lowlevel.h>
#include <limits.h>
#include <pthread.h>

#include "stats.h"
#include "tap.h"
#include "util.h"

#define MANY 20000

/* In the kernel's place. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool deaf, waiting;
static unsigned heard[4]; /* by parent */
static char last[NAME_MAX + 1];

int fuse_lowlevel_notify_inval_entry(struct fuse_session *se, fuse_ino_t parent, const char *name, size_t len)
{
	(void)se;
	pthread_mutex_lock(&lock);
	waiting = true;
	pthread_cond_broadcast(&changed);
	while (deaf)
		pthread_cond_wait(&changed, &lock);
	waiting = false;
	heard[parent]++;
	memcpy(last, name, len);
	last[len] = '\0';
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return 0;
}

static void be_deaf(struct invalidator *inv)
{
	pthread_mutex_lock(&lock);
	deaf = true;
	pthread_mutex_unlock(&lock);
	invalidate_name(inv, 0, "taken out of the queue, and waiting");
	pthread_mutex_lock(&lock);
	while (!waiting)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

/* Until so many of a parent's names were heard. */
static void listen_to(unsigned parent, unsigned count)
{
	pthread_mutex_lock(&lock);
	deaf = false;
	pthread_cond_broadcast(&changed);
	while (heard[parent] < count)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

int main(void)
{
	enum { NAME = 1, LATE, HINT };
	unsigned queued = 0, names = 0;
	char longest[NAME_MAX + 1], too_long[NAME_MAX + 2];
	alarm(60);
	memset(longest, 'x', NAME_MAX);
	longest[NAME_MAX] = '\0';
	memset(too_long, 'x', NAME_MAX + 1);
	too_long[NAME_MAX + 1] = '\0';

	invalidate_name(NULL, NAME, "f");
	ok(invalidate_late(NULL, LATE, "f") && !invalidate_refused(NULL), "without a mount there is nobody to tell");
	struct invalidator *inv = invalidate_start(NULL);
	ok(inv && !invalidate_full(inv) && !invalidate_refused(inv), "a queue begins empty");
	invalidate_name(inv, NAME, "f");
	listen_to(NAME, 1);
	is_str(last, "f", "a name is told");
	invalidate_name(inv, NAME, longest);
	listen_to(NAME, 2);
	is_str(last, longest, "the longest that there may be too");
	names = 2;

	be_deaf(inv);
	for (int i = 0; i < MANY; i++)
		invalidate_hint(inv, HINT, "h");
	ok(!invalidate_full(inv),
	   "however many hints there are while the kernel does not listen, the queue is not full");
	while (queued < MANY && invalidate_late(inv, LATE, "late"))
		queued++;
	ok(queued > 1000 && queued < MANY, "what may come late finds room until it is");
	ok(invalidate_full(inv), "then a change is refused, and not made");
	ok(invalidate_refused(inv) && !invalidate_refused(inv),
	   "and that something has to be told again is said, once");
	is_int(stats_get(STATS_notifies_late), 1, "and counted");
	for (int i = 0; i < 2 * 64; i++, names++)
		invalidate_name(inv, NAME, i % 2 ? "n" : longest);
	invalidate_name(inv, NAME, too_long);
	listen_to(NAME, names);
	is_int(heard[LATE], queued, "when the kernel listens again, it hears all that was queued");
	is_int(heard[NAME], names, "and each change, of all threads that were let through at once");
	ok(heard[HINT] > 0 && heard[HINT] < MANY, "but not each hint");

	ok(invalidate_late(inv, LATE, "again"), "what found no room");
	listen_to(LATE, queued + 1);
	is_str(last, "again", "is told when it is said again");
	ok(!invalidate_refused(inv), "and nothing is left to be told");

	invalidate_stop(inv);
	ok(invalidate_late(inv, LATE, "f") && !invalidate_full(inv),
	   "at the end nothing is kept out, and nothing is told");
	invalidate_free(inv);
	return tap_done();
}
