/* SPDX-License-Identifier: MIT */
/*
 * Telling the kernel that a name it remembers has changed by another route.
 *
 * Names below <sid> are cached for an hour, so what a handle's route changes must be told. The telling
 * (FUSE_NOTIFY_INVAL_ENTRY) takes locks in the kernel that the caller of the request at hand may hold, so it is done
 * by a thread of its own, in order, from a bounded queue. While that thread waits for the kernel the queue may fill up, and
 * still nothing that matters is dropped. There are three kinds:
 *   name   what a request changes. invalidate_full() is asked before it is made, and refuses it (EAGAIN) rather than that it
 *          is done and not told; what was let through always finds room
 *   late   a session's name that is another session's now. Who can't queue it keeps it, and comes again when
 *          invalidate_refused() says so
 *   hint   what only saves the kernel's memory. Dropped when the queue is half full
 */
#ifndef SESSIONFS_INVALIDATE_H
#define SESSIONFS_INVALIDATE_H

#include <stdbool.h>
#include <stdint.h>

struct fuse_session;
struct invalidator;

/* Starts the thread; it ends in invalidate_stop(). NULL without memory or threads. */
struct invalidator *invalidate_start(struct fuse_session *se);

/*
 * Ends the thread, and drops what is queued and what comes. While requests are served still: what it tells may wait for a
 * directory whose holder waits for a reply. NULL is fine.
 */
void invalidate_stop(struct invalidator *inv);
void invalidate_free(struct invalidator *inv); /* after it; NULL is fine */

/* Whether there is no room for what one request may have to tell. */
bool invalidate_full(struct invalidator *inv);

/*
 * Queues "the kernel must look up name in parent again". The name is copied. These never block. NULL is fine: no mount any
 * more. The first is for requests that asked invalidate_full(); two names each.
 */
void invalidate_name(struct invalidator *inv, uint64_t parent, const char *name);

/* False: there is no room; it is to be said again. Counted in the metrics. */
bool invalidate_late(struct invalidator *inv, uint64_t parent, const char *name);
bool invalidate_refused(struct invalidator *inv); /* whether that was so, since the last call */

/*
 * Where it is dropped, the kernel forgets by itself, in a second, or is told again by the reaper. Never keeps out what
 * matters.
 */
void invalidate_hint(struct invalidator *inv, uint64_t parent, const char *name);

#endif
