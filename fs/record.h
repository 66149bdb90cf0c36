/* SPDX-License-Identifier: MIT */
/*
 * One session as it lies in the store: the directory sessions/ab/NAME with meta.json, the mark `revoked`, and data/.
 *
 * A record is found by its name below the store, or used by a descriptor of its directory, which stays that very session
 * wherever somebody moves it. Who may claim it, and what becomes of it, is the store's to say (store.h). Descriptors of
 * directories may be O_PATH. Thread-safe; calls block as long as the filesystem does.
 */
#ifndef SESSIONFS_RECORD_H
#define SESSIONFS_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "meta.h"

bool record_is_name(const char *name); /* of a session: 64 lower-case hex digits */

/* An owned descriptor of a session's directory, from its parent opened afresh. 0, -ENOENT, -EINVAL (no name), -errno. */
int record_open(int store, const char *name, int *ret);

/* Makes a session that is full from the first moment. 0 also where another daemon was first. */
int record_make(int store, const char *name, const struct meta *m, uid_t uid, gid_t gid);

/* What meta.json and the mark say. -ENOENT without meta.json; -EUCLEAN where it is not ours, or another session's. */
int record_read(int dir, const char *name, struct meta *ret);
int record_write(int dir, const struct meta *m); /* replaces meta.json */

/* Both in one: *dir is owned. -ENOENT without the session, -EUCLEAN without meta.json. */
int record_find(int store, const char *name, int *dir, struct meta *ret);

/* The mark that is never taken back: 1 where it is there, 0 or -errno; and makes it. */
int record_is_revoked(int dir);
int record_revoke(int dir);

/* Whether both are one directory. Whether dir is not what is in the place of that name (any more). */
bool record_is_same(int dir, int other);
bool record_is_elsewhere(int store, const char *name, int dir);

/*
 * Makes the data/ of a session, as its owner does who has removed it: it is there with this mode and owner, or not at all,
 * whatever moment a crash comes at. Not synced, as little as any mkdir(2). 0, -EEXIST or -errno.
 */
int record_make_data(int dir, mode_t mode, uid_t uid, gid_t gid);

/* The same where it is missing, for a bind, and synced. -EUCLEAN where something else is in its place. */
int record_ensure_data(int dir, uid_t uid, gid_t gid);

#endif
