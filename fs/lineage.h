/* SPDX-License-Identifier: MIT */
/*
 * The line of a thread's parents: its process, that one's parent, and so on up to the first process of the daemon's
 * pid namespace.
 *
 * Each step is verified: the parent is pinned, and the child asked again whose child it is. A line changes only
 * through the death of a member, so a line once walked stays true while every member lives. With pidfds it is
 * therefore kept, with a pin of each member, and checked with one poll(2). The /proc pins of older kernels outlive a
 * dead process until it is reaped, when its children have long had another parent: there each line is walked afresh.
 *
 * Bounds: LINEAGE_CACHE lines, and LINEAGE_FDS descriptors or an eighth of what RLIMIT_NOFILE allows in all; the
 * least recently used go first. One mutex, never held across a system call.
 */
#ifndef SESSIONFS_LINEAGE_H
#define SESSIONFS_LINEAGE_H

#include <sys/types.h>

#define LINEAGE_MAX 64 /* longer lines are cut here */
#define LINEAGE_CACHE 256
#define LINEAGE_FDS 4096

/*
 * The tgids of the line, nearest first: how many, at least 1. -ESRCH when the thread is gone, else -errno (-EMFILE:
 * no descriptors). An orphan's old line is never reported. Needs caller_init().
 */
int caller_lineage(pid_t tid, pid_t tgids[static LINEAGE_MAX]);

#endif
