/* SPDX-License-Identifier: MIT */
/*
 * Which sessions have ended lately: STORE/ended, by which instances and tools tell each other.
 *
 * A file for each session that was revoked or removed: empty, with a name of its own that begins with the session's. So
 * looking costs one listing, nothing is appended to and nothing is replaced, and no time is trusted. It is a hint: what
 * is so is said by the session itself, or by its absence, and whoever holds sessions looks at each of them now and then
 * all the same. Files are taken away an hour after they were made.
 *
 * Telling needs room for a file, which a full disk has not. What could not be told is kept, some hundred names, and told
 * by ended_tell_again(). By the time that it would be many more, everybody has looked by himself (reaper.c).
 *
 * Knows the directory alone. Calls block as long as the filesystem does; no lock is held meanwhile.
 */
#ifndef SESSIONFS_ENDED_H
#define SESSIONFS_ENDED_H

#include <pthread.h>

#include "proto/sid.h"

#define ENDED_DIR "ended"
#define ENDED_UNTOLD 256

/* One who tells. */
struct ended {
	int store; /* borrowed */
	pthread_mutex_t lock;
	char untold[ENDED_UNTOLD][SID_HASH_LEN + 1];
	unsigned n, given_up;
};

void ended_init(struct ended *e, int store);

/* Tells of a session, by its name in the store. After the fact: who hears of it looks at once. Else keeps it. */
void ended_tell(struct ended *e, const char *name);

/*
 * Tells what could not be told. 0 when all is told; -errno when not, and it is kept; -ENOBUFS, once, when there were so many
 * that some were not kept.
 */
int ended_tell_again(struct ended *e);

/* Calls heard with each session's name that was told of; the same one may come more than once. 0 or -errno. */
int ended_each(int store, void (*heard)(const char *name, void *ctx), void *ctx);

/* Takes away at most budget files of more than an hour. 0 or -errno. */
int ended_sweep(int store, unsigned budget);

#endif
