/* SPDX-License-Identifier: MIT */
/*
 * What removes sessions for their age: [retention] idle and lifetime.
 *
 * It walks over the store a little at each step, never over all of it at once, so that no caller notices and a daemon
 * starts in constant time; begins anew when it is through, after a pause; and holds off when the wall clock has jumped
 * (clock.h). Any number of instances may do so at once over one store: each session is removed by one of them.
 *
 * A session is removed on its meta.json alone, read afresh, and read again when it is out of its place
 * (store_remove_if). Those who are in it say so there: a first bind of a session that is not quite fresh writes its use
 * before it is acknowledged (store_use), and each instance moves last_used on while somebody is bound: see
 * retention_is_stale() and retention_is_behind(). So who is bound keeps his session, on whatever instance, unless
 *   - his instance could not write to the store for half of `idle`, and another could;
 *   - or their clocks differ by as much.
 *
 * Knows nothing of FUSE. For one thread.
 */
#ifndef SESSIONFS_RETENTION_H
#define SESSIONFS_RETENTION_H

#include "store.h"

struct retention_rules {
	int64_t idle, lifetime; /* seconds; 0 is for ever */
	int64_t revoked;        /* how long a revoked session stays at least: as long as a token may be good for */
};

enum retention_end { RETENTION_KEEP, RETENTION_IDLE, RETENTION_LIFETIME };

/*
 * Whether a session's time is over at `now` (Unix seconds). A session that was never used counts from its creation.
 * Times in the future are no age. Revoked ones stay until no token from before can be bound, which would make them
 * anew.
 */
enum retention_end retention_due(const struct meta *m, const struct retention_rules *rules, int64_t now);
const char *retention_end_name(enum retention_end end); /* "idle", "lifetime" */

/*
 * An instance does not know what others that share the store, or session-rm(1), take for idle. What it writes is right
 * for its own `idle`, and for all from this on (seconds).
 */
#define RETENTION_SAFE 3600

/*
 * Whether a bind has to write the use first, last_used being `stored` in the store: from half of idle on, so that what
 * is not written first stays for another half, in which the instance writes it by the way.
 */
bool retention_is_stale(const struct retention_rules *rules, int64_t stored, int64_t now);

/* Whether the use of a session that is bound has to be noted again: a quarter of idle after the last. */
bool retention_is_behind(const struct retention_rules *rules, int64_t used, int64_t now);

/* What it asks and tells. m is what the store says. */
struct retention_hooks {
	bool (*in_use)(void *ctx, const char *name,
		       int64_t now); /* here: spares the store a removal that is put back */
	void (*removed)(void *ctx, const char *name, const struct meta *m, enum retention_end end);
	void *ctx;
};

struct retention;

/* Keeps store, which outlives it. NULL without memory. */
struct retention *retention_new(struct store *store, const struct retention_rules *rules,
				const struct retention_hooks *hooks);
void retention_free(struct retention *r); /* NULL is fine */

/* One step, at CLOCK_REALTIME and CLOCK_BOOTTIME in ms. Once a second is meant. */
void retention_step(struct retention *r, int64_t wall, int64_t boot);

#endif
