/* SPDX-License-Identifier: MIT */
/*
 * A thread that does something again and again, once a second for most, until it is stopped. What takes longer delays
 * the next time, and is not made up for. Each thing that may wait (for the store, for the keys' disk) has a thread of
 * its own.
 */
#ifndef SESSIONFS_TICKER_H
#define SESSIONFS_TICKER_H

#include <stdint.h>

struct ticker;

#define TICKER_SECOND 1000 /* ms */

/* now is CLOCK_MONOTONIC in seconds. The first tick is at once. NULL without memory or threads. */
struct ticker *ticker_start(void (*tick)(void *ctx, int64_t now), void *ctx, int64_t period_ms);

/* Lets the tick at hand finish, and joins the thread. NULL is fine. */
void ticker_stop(struct ticker *t);

#endif
