/* SPDX-License-Identifier: MIT */
/*
 * Telling the kernel that a name it remembers has changed by another route.
 *
 * Names below <sid> are cached for an hour, so what a handle's route changes must be told. The telling
 * (FUSE_NOTIFY_INVAL_ENTRY) takes locks in the kernel that the caller of the request at hand may hold, so it is done
 * by a thread of its own, in order, from a bounded queue: invalidate_full() is asked before a change is made, and
 * such a change is refused (EAGAIN) rather than done and not told.
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
 * Queues "the kernel must look up name in parent again". The name is copied. Never blocks. NULL is fine: no mount any
 * more.
 */
void invalidate_name(struct invalidator *inv, uint64_t parent, const char *name);

/*
 * The same where it only saves the kernel's memory: dropped when the queue is half full, so that it never keeps out a
 * change.
 */
void invalidate_hint(struct invalidator *inv, uint64_t parent, const char *name);

#endif
