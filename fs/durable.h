/* SPDX-License-Identifier: MIT */
/*
 * Small files that are there whole or not at all, on any POSIX filesystem, shared ones included.
 *
 * Written under a unique name in the same directory, synced, closed, and then linked (to create) or renamed (to
 * replace) into place; read by opening afresh. Errors of fsync and close are errors of the write: nothing is reported
 * as stored that might not be. Names are the caller's own constants, never a user's. Knows nothing of what is in the
 * files.
 */
#ifndef SESSIONFS_DURABLE_H
#define SESSIONFS_DURABLE_H

#include <stdbool.h>
#include <stddef.h>

#define TEMP_NAME_MAX 128

/* ".tmp-<host>-<pid>-<random>": nobody else's, in this life or another. */
void temp_name(char name[static TEMP_NAME_MAX]);
bool temp_is(const char *name);

/*
 * Makes a file that must not be there: -EEXIST. Exact among any number of writers, also where the server's reply was
 * lost. Syncs the directory, which must be open for reading.
 */
int durable_create(int dirfd, const char *name, const char *data, size_t len);

/* The same in a directory that nobody else knows yet: without the detour, and without syncing the directory. */
int durable_fill(int dirfd, const char *name, const char *data, size_t len);

/* Replaces a file, there or not; readers see the old one or the new one. The last writer wins. */
int durable_replace(int dirfd, const char *name, const char *data, size_t len);

/*
 * Reads a whole regular file of at most max bytes: NUL-terminated, owned by the caller. Tries again on ESTALE and
 * ENOENT, since a replaced file may answer so on a network filesystem. -ENOENT, -EUCLEAN (not a regular file, or
 * longer), -errno.
 */
int durable_read(int dirfd, const char *name, size_t max, char **ret, size_t *len);

/*
 * Renames a directory that was made under another name to where none is yet. -EEXIST where one is, with something in it:
 * no network filesystem has NOREPLACE, and there an empty one may be replaced. Does not sync.
 */
int durable_place_dir(int dirfd, const char *temp, const char *name);

/* fsync of a directory below dirfd, which may be O_PATH; "." is dirfd itself. */
int durable_sync_dir(int dirfd, const char *name);

#endif
