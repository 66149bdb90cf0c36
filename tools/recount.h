/* SPDX-License-Identifier: MIT */
/* session-ls --recount: what sessions use, counted in their trees, and the ledgers put right. */
#ifndef SESSIONFS_RECOUNT_H
#define SESSIONFS_RECOUNT_H

#include <stdbool.h>

/* path is a store, or a mount of one. Tells of what it changed. An exit status. */
int recount_sessions(const char *path, bool json);

#endif
