/* SPDX-License-Identifier: MIT */
/* Free space that is kept back, of a filesystem that says what the test wants when it wants, by a clock of the test's. */
#include "room.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tap.h"

#define FD 77
#define RESERVE 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool slow; /* whoever asks waits */
static int asked, answered, error;
static fsblkcnt_t available = 10000;

int fstatvfs(int fd, struct statvfs *st)
{
	pthread_mutex_lock(&lock);
	asked += fd == FD;
	pthread_cond_broadcast(&changed);
	fsblkcnt_t was = available; /* what is written after it has looked is not in what it says */
	while (slow)
		pthread_cond_wait(&changed, &lock);
	answered++;
	int err = error;
	*st = (struct statvfs){.f_frsize = 1, .f_bavail = was};
	pthread_mutex_unlock(&lock);
	errno = err;
	return err ? -1 : 0;
}

static _Atomic int64_t clock_ms;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec){clock_ms / 1000, clock_ms % 1000 * 1000000};
	return 0;
}

static void be_slow(bool yes)
{
	pthread_mutex_lock(&lock);
	slow = yes;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void await_asked(int n)
{
	pthread_mutex_lock(&lock);
	while (asked < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static struct room room;

struct writer {
	pthread_t thread;
	int64_t bytes, got;
};

static void *write_one(void *arg)
{
	struct writer *w = arg;
	w->got = room_take(&room, w->bytes, w->bytes);
	return NULL;
}

static void begin(struct writer *w, int64_t bytes)
{
	w->bytes = bytes;
	if (pthread_create(&w->thread, NULL, write_one, w))
		abort();
}

static int64_t end(struct writer *w)
{
	pthread_join(w->thread, NULL);
	return w->got;
}

/* Whether nobody has the lock for good: who waits with it keeps this from ending. */
static bool is_waiting(void)
{
	struct timespec moment = {.tv_nsec = 1000000};
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&room.lock);
		pthread_mutex_unlock(&room.lock);
		nanosleep(&moment, NULL);
	}
	return true;
}

int main(void)
{
	struct writer first, little, much;
	alarm(60);
	room_init(&room, FD, LIMIT_NONE);
	is_int(room_take(&room, INT64_MAX, INT64_MAX), INT64_MAX, "without a reserve everything may be written");
	is_int(asked, 0, "and nobody is asked");

	room_init(&room, FD, RESERVE);
	is_int(room_take(&room, 4000, 1), 4000, "what leaves the reserve alone may be written");
	is_int(room_take(&room, 4000, 1), 4000, "and more, by the same answer");
	is_int(asked, 1, "which was asked for once");
	is_int(room_take(&room, 4000, 1), 1000, "of what does not fit, a part");
	is_int(room_take(&room, 1, 1), -ENOSPC, "and then nothing");
	available = 3000;
	clock_ms += 10;
	is_int(room_take(&room, 500, 500), 500, "who finds too little asks again, a moment later");
	is_int(asked, 2, "once more");

	/* A store that takes its time. */
	be_slow(true);
	clock_ms += 100;
	begin(&first, 100);
	await_asked(3);
	is_int(room_take(&room, 900, 900), 900, "while one asks a slow store, another writes by the last answer");
	is_int(room_take(&room, 2000, 1), 600, "or a part");
	available = 5000;
	be_slow(false);
	is_int(end(&first), 100, "he who asked gets what he needs");
	is_int(room.left, 3000 - RESERVE - 900 - 600 - 100,
	       "by an answer from which all was taken that was written meanwhile");
	available = 3000;
	be_slow(true);
	clock_ms += 100;
	begin(&first, 100);
	await_asked(4);
	begin(&little, 1);
	is_int(end(&little), 1, "any number of others write");
	is_int(asked, 4, "and nobody else asks");
	begin(&much, 1500);
	ok(is_waiting() && answered == 3,
	   "who does not fit by the last answer waits for the next, and keeps nobody else");
	is_int(room_take(&room, 99, 99), 99, "who fits");
	available = 5000; /* too late for this answer */
	be_slow(false);
	is_int(end(&first), 100, "he who asked gets his");
	is_int(end(&much), 1500, "and he who waited");
	is_int(asked, 4, "by that answer");

	/* One that fails. */
	error = EIO;
	clock_ms += 100;
	is_int(room_take(&room, 250, 250), 250, "where it can't be asked the last answer counts");
	is_int(room_take(&room, 60, 60), -ENOSPC, "as far as it goes");
	be_slow(true);
	begin(&first, 60);
	await_asked(7);
	begin(&much, 70);
	is_waiting();
	be_slow(false);
	is_int(end(&first), -ENOSPC, "who asks in vain is refused");
	is_int(end(&much), -ENOSPC, "and so is who waits for him");
	return tap_done();
}
