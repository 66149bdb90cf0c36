/* SPDX-License-Identifier: MIT */
/*
 * What the instances of one store should agree on, and where two don't.
 *
 * Nothing is decided by it: an instance that would not serve because another is configured otherwise would be an outage for
 * a warning's sake. Each difference is told once, as long as it stays the same; the memory for that is bounded, and the
 * oldest is told again when there are more. No fds, no clock, no threads.
 */
#ifndef SESSIONFS_AGREEMENT_H
#define SESSIONFS_AGREEMENT_H

#include "config.h"
#include "heartbeat.h"
#include "keyring.h"

#define AGREEMENT_LINE_MAX 1024
#define AGREEMENT_TOLD_MAX 256
#define AGREEMENT_ALIVE 60 /* seconds after its last beat, by which an instance still counts */
#define AGREEMENT_CLOCK 10 /* seconds that another's clock may be ahead */

/* Zeroed to begin with. */
struct agreement {
	uint64_t told[AGREEMENT_TOLD_MAX]; /* hashes of what was told; 0: none */
	unsigned next;
};

/* Fills in h's settings: those of config_each_agreed(), and tokens.keys as a digest of the keys themselves. */
void agreement_describe(const struct config *c, struct keyring *keys, struct heartbeat *h);

/*
 * The next thing at or after *at (0 to begin) in which another living instance contradicts our own heartbeat of this
 * moment, and that was not told before: one line that names the instance and the key. False when there is none.
 */
bool agreement_differs(struct agreement *a, const struct heartbeat *own, const struct heartbeat *other, size_t *at,
		       char line[static AGREEMENT_LINE_MAX]);

#endif
