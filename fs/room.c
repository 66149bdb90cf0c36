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
}

/* Bytes that are free for users, at most LIMIT_MAX. */
static int64_t free_bytes(const struct statvfs *st)
{
	uint64_t unit = st->f_frsize, most = (uint64_t)LIMIT_MAX;
	return (int64_t)(unit && st->f_bavail > most / unit ? most : st->f_bavail * unit);
}

int64_t room_take(struct room *r, int64_t bytes, int64_t least)
{
	if (r->reserve == LIMIT_NONE)
		return bytes;
	struct timespec ts;
	struct statvfs st;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	int64_t now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + GOOD_MS; /* never in the first 100 ms */

	pthread_mutex_lock(&r->lock);
	if ((now - r->at >= GOOD_MS || (r->left < bytes && now - r->at >= ASK_MS)) && fstatvfs(r->fd, &st) == 0) {
		r->left = free_bytes(&st) - r->reserve;
		r->at = now;
	}
	int64_t take = bytes < r->left ? bytes : r->left;
	if (take < least || take < 0)
		take = -ENOSPC;
	else
		r->left -= take;
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
