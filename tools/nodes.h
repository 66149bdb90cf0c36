/* SPDX-License-Identifier: MIT */
/* The instances that serve a store, and the releases of the application that they serve: session-ls --nodes, --releases. */
#ifndef SESSIONFS_NODES_H
#define SESSIONFS_NODES_H

#include <stdbool.h>

/* Prints them on stdout. path is a STORE or a MOUNT. Complains of what is wrong; returns an exit status. */
int nodes_list(const char *path, bool json);
int nodes_releases(const char *path, bool json);

#endif
