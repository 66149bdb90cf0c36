/* SPDX-License-Identifier: MIT */
#include "ticker.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "priority.h"
#include "util.h"

struct ticker {
	void (*tick)(void *ctx, int64_t now);
	void *ctx;
	int64_t period_ms;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

static void *run(void *arg)
{
	struct ticker *t = arg;
	struct timespec next;
	priority_lower();
	clock_gettime(CLOCK_MONOTONIC, &next);
	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		pthread_mutex_unlock(&t->lock);
		t->tick(t->ctx, next.tv_sec);
		pthread_mutex_lock(&t->lock);
		clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_sec += t->period_ms / 1000;
		next.tv_nsec += t->period_ms % 1000 * 1000000;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		while (!t->stop && pthread_cond_timedwait(&t->wake, &t->lock, &next) == 0)
			;
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

struct ticker *ticker_start(void (*tick)(void *ctx, int64_t now), void *ctx, int64_t period_ms)
{
	struct ticker *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->tick = tick;
	t->ctx = ctx;
	t->period_ms = period_ms;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&t->thread, NULL, run, t)) {
		free(t);
		return NULL;
	}
	return t;
}

void ticker_stop(struct ticker *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
