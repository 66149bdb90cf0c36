/* SPDX-License-Identifier: MIT */
/*
 * Free space of the store that is kept back ([limits] reserve), whoever writes.
 *
 * Asking the filesystem is a system call, and over a network a message that may take a minute: what it said is good for
 * 100 ms, less all that was written since. Then one writer asks, without the lock; the others go on by the last answer as
 * long as it has room for them, and wait only where they would be refused by it. Others write too, so that the reserve may be
 * touched by what they write within that time. Thread-safe.
 */
#ifndef SESSIONFS_ROOM_H
#define SESSIONFS_ROOM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

struct room {
	int fd;          /* borrowed */
	int64_t reserve; /* bytes; LIMIT_NONE is none */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool asking;
	uint64_t answers;  /* how many there were, failures included */
	int64_t at, left;  /* when it was asked, in ms, and what is left of what it said */
	int64_t meanwhile; /* what was taken while it is asked: it may be in the answer, or not */
};

void room_init(struct room *r, int fd, int64_t reserve);

/* Of bytes that are to be written, how many may be: what fits, but not less than least, or -ENOSPC. */
int64_t room_take(struct room *r, int64_t bytes, int64_t least);

/* Takes the reserve off what df is told is free. */
void room_show(const struct room *r, struct statvfs *st);

#endif
