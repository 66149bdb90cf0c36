/* SPDX-License-Identifier: MIT */
/* Whether a directory can be mounted on: asked before anything is done, so that the answer can be one clear line. */
#ifndef SESSIONFS_MOUNTPOINT_H
#define SESSIONFS_MOUNTPOINT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * 0 and the resolved path, or -errno and one line in why: missing, not a directory, not empty, busy (something is
 * mounted there), left over by a dead daemon (and how to clear it), inside the store, or the store inside it. store
 * is absolute and resolved.
 */
int mountpoint_check(const char *path, const char *store, char *resolved, size_t resolved_len, char *why,
		     size_t why_len);

/*
 * Whether a file of the daemon's own would lie on the mount: it would wait for itself. Both absolute, mountpoint
 * resolved.
 */
bool mountpoint_hides(const char *mountpoint, const char *path);

#endif
