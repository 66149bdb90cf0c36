/* SPDX-License-Identifier: MIT */
/*
 * STORE/nodes/: one heartbeat file for each instance, <instance>.json. Each is written by its instance alone, and read by
 * whoever wants to know.
 *
 * storefd is the store's directory, which may be O_PATH.
 */
#ifndef SESSIONFS_ROSTER_H
#define SESSIONFS_ROSTER_H

#include "heartbeat.h"

/* Of an instance. 0, -ENOENT, -EUCLEAN (garbage, or another's under this name), -errno. */
int roster_read(int storefd, const char *name, struct heartbeat *ret);
int roster_write(int storefd, const struct heartbeat *h); /* replaces its file */
int roster_remove(int storefd, const char *name);

/*
 * Calls visit for each instance, in no order, until it returns non-zero, which is returned; h is NULL with error set to a
 * negative errno where its file can't be read. -errno where they can't be listed; 0 for a store that never had one.
 */
typedef int roster_visit_fn(void *ctx, const char *name, const struct heartbeat *h, int error);
int roster_each(int storefd, roster_visit_fn *visit, void *ctx);

#endif
