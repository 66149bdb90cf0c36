/* SPDX-License-Identifier: MIT */
/*
 * Which sessions have ended lately: STORE/ended, by which instances and tools tell each other.
 *
 * A file for each session that was revoked or removed: empty, with a name of its own that begins with the session's. So
 * looking costs one listing, nothing is appended to and nothing is replaced, and no time is trusted. It is a hint: what
 * is so is said by the session itself, or by its absence, and whoever holds sessions looks at each of them now and then
 * all the same. Files are taken away an hour after they were made.
 *
 * Knows the directory alone. Calls block as long as the filesystem does.
 */
#ifndef SESSIONFS_ENDED_H
#define SESSIONFS_ENDED_H

#define ENDED_DIR "ended"

/* Tells of a session, by its name in the store. After the fact: who hears of it looks at once. 0 or -errno. */
int ended_tell(int store, const char *name);

/* Calls heard with each session's name that was told of; the same one may come more than once. 0 or -errno. */
int ended_each(int store, void (*heard)(const char *name, void *ctx), void *ctx);

/* Takes away at most budget files of more than an hour. 0 or -errno. */
int ended_sweep(int store, unsigned budget);

#endif
