/* SPDX-License-Identifier: MIT */
/*
 * What makes a directory a store: FORMAT, and the directories that are made with it and never later (store.h lists them).
 *
 * A store is made of an empty directory, whole or not at all, by any number of daemons at once; after a crash the next one
 * goes on. Knows nothing of what is in the directories. Calls block as long as the filesystem does.
 */
#ifndef SESSIONFS_LAYOUT_H
#define SESSIONFS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#define LAYOUT_SHARDS 256 /* of sessions/ and users/: 00 … ff */
#define LAYOUT_UUID_LEN 36

struct layout {
	char *path; /* owned; absolute, resolved */
	char uuid[LAYOUT_UUID_LEN + 1];
	int fd; /* owned; O_PATH|O_DIRECTORY */
};

/* As store_open() says; with create, the store is made where there is none. On 0 *ret is filled, to be closed. */
int layout_open(const char *path, bool create, char *err, size_t errlen, struct layout *ret);
void layout_close(struct layout *l);

#endif
