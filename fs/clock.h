/* SPDX-License-Identifier: MIT */
/*
 * Whether the wall clock can be believed: it is compared with one that only runs. Pure: the times are arguments.
 *
 * A clock that is set (by NTP, by hand, by a machine that was resumed from an image) makes all sessions old at once. So
 * what removes sessions for their age holds off for an hour after each jump, forward or back: for users to come back,
 * and for the operator to read the log. Then the clock is believed. A clock that is slewed, by less than one in a
 * hundred, does not jump.
 */
#ifndef SESSIONFS_CLOCK_H
#define SESSIONFS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_SLACK 30000  /* ms that the two may differ by before it is a jump */
#define CLOCK_HOLD 3600000 /* ms of running time that is held off */

struct clock_watch { /* zeroed before the first look */
	bool begun;
	int64_t boot;   /* of the last look */
	int64_t offset; /* wall - boot, as it is believed to be */
	int64_t until;  /* boot time until which is held off */
};

/*
 * Looks at both clocks, in ms: CLOCK_REALTIME and CLOCK_BOOTTIME, read one after the other. Returns by how much the
 * wall clock has jumped since the last look, 0 for not at all. The first look believes what it sees.
 */
int64_t clock_look(struct clock_watch *c, int64_t wall, int64_t boot);

/* Whether to hold off now. */
bool clock_held(const struct clock_watch *c, int64_t boot);

#endif
