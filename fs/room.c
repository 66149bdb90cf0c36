/* SPDX-License-Identifier: MIT */
#include "room.h"

#include <errno.h>
#include <time.h>

#include "proto/limits.h"
#include "stats.h"

#define GOOD_MS 100
#define ASK_MS 10 /* who finds too little asks again, but not oftener */

void room_init(struct room *r, int fd, int64_t reserve)
{
	*r = (struct room){.fd = fd, .reserve = reserve};
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->answered, NULL);
}

/* Bytes that are free for users, at most LIMIT_MAX. */
static int64_t free_bytes(const struct statvfs *st)
{
	uint64_t unit = st->f_frsize, most = (uint64_t)LIMIT_MAX;
	return (int64_t)(unit && st->f_bavail > most / unit ? most : st->f_bavail * unit);
}

static int64_t clock_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + GOOD_MS; /* never in the first 100 ms */
}

/* By one at a time; the lock is given up meanwhile. What was left stays where it can't be told. */
static void ask(struct room *r)
{
	struct statvfs st;
	int64_t began = clock_now();
	r->asking = true;
	r->meanwhile = 0;
	pthread_mutex_unlock(&r->lock);
	int err = fstatvfs(r->fd, &st);
	pthread_mutex_lock(&r->lock);
	if (!err) {
		r->left = free_bytes(&st) - r->reserve - r->meanwhile;
		r->at = began;
	}
	r->asking = false;
	r->answers++;
	pthread_cond_broadcast(&r->answered);
}

/* Asks where the last answer is old, or too little, and not so new; or waits for him who does, where there is no other way. */
static void refresh(struct room *r, int64_t bytes, int64_t least)
{
	int64_t age = clock_now() - r->at;
	if (age < GOOD_MS && (r->left >= bytes || age < ASK_MS))
		return;
	if (!r->asking)
		ask(r);
	else if (r->left < least || r->left < 0)
		for (uint64_t answers = r->answers; answers == r->answers;)
			pthread_cond_wait(&r->answered, &r->lock);
}

int64_t room_take(struct room *r, int64_t bytes, int64_t least)
{
	if (r->reserve == LIMIT_NONE)
		return bytes;
	pthread_mutex_lock(&r->lock);
	refresh(r, bytes, least);
	int64_t take = bytes < r->left ? bytes : r->left;
	if (take < least || take < 0) {
		take = -ENOSPC;
	} else {
		r->left -= take;
		r->meanwhile += take;
	}
	pthread_mutex_unlock(&r->lock);
	if (take < 0)
		stats_add(STATS_quota_reserve, 1);
	return take;
}

void room_show(const struct room *r, struct statvfs *st)
{
	if (r->reserve == LIMIT_NONE || !st->f_frsize)
		return;
	fsblkcnt_t kept = ((uint64_t)r->reserve + st->f_frsize - 1) / st->f_frsize;
	st->f_bfree = st->f_bfree > kept ? st->f_bfree - kept : 0;
	st->f_bavail = st->f_bavail > kept ? st->f_bavail - kept : 0;
}
