/* SPDX-License-Identifier: MIT */
/*
 * This daemon among those that share a store: its name, the heartbeat by which the others and session-ls(1) know of it,
 * and what the others decide for it (release.json).
 *
 * The name is the same after a restart, so that what an instance keeps in the store under its name is found again. Two
 * that run under one name would take each other's; each sees the other's heartbeats, and says so in the log.
 *
 * It also tells where another's configuration contradicts this one's (agreement.h), once in the log.
 *
 * A thread of its own, since the store may keep it waiting: nothing else does.
 */
#ifndef SESSIONFS_INSTANCE_H
#define SESSIONFS_INSTANCE_H

#include <stddef.h>

#include "heartbeat.h"

#define INSTANCE_EVERY 5               /* seconds between two beats */
#define INSTANCE_FORGOTTEN (7 * 86400) /* seconds after the last beat: the file of an instance is removed then */

struct fs;
struct instance;

/*
 * `configured` as it is, or for "auto" the host's name and 8 hex digits of a hash over machine id, host and mountpoint.
 */
void instance_name(const char *configured, const char *mountpoint, char name[static INSTANCE_NAME_MAX + 1]);

/* Makes the id of a run. */
void instance_run(char run[static RUN_ID_LEN + 1]);

/* With a first beat, of which quota_beat() is told, as of all others. NULL without memory or threads. */
struct instance *instance_start(struct fs *fs);
void instance_rest(struct instance *i); /* ends the thread; NULL is fine */
void instance_stop(
	struct instance *i); /* the same, with a last beat that says so: nothing in the store is ours any more */

#endif
