/* SPDX-License-Identifier: MIT */
/*
 * How a session leaves its place: sessions/ab/NAME -> leaving/NAME… -> trash/NAME…, two renames with a look between.
 *
 *     STORE/leaving/       empty, but for moments
 *     STORE/trash/         what is there is nobody's any more, and is deleted
 *
 * The first rename decides: of any number of instances and tools exactly one takes a session, under a name that nobody
 * else has. So what was taken can be looked at before anything is lost: it may have been used since it was found to be
 * idle, or it may be another session that has come into the place of the one that was meant. If so it goes back. The
 * second rename is the removal.
 *
 * Whoever died in between left a session in leaving/. It goes back to its place, at the latest when somebody binds it.
 * Going back is always right: what was to be removed is found again. And where it goes back under the hands of one who
 * is slow but alive, his second rename finds nothing, and he has removed nothing.
 *
 * Knows no meta.json and no rules. Calls block as long as the filesystem does.
 */
#ifndef SESSIONFS_TRASH_H
#define SESSIONFS_TRASH_H

#include <stdbool.h>
#include <stdint.h>

#define LEAVING_DIR "leaving"
#define TRASH_DIR "trash"

/*
 * Takes a session out of its place, and removes it if sure says so of its directory, which is opened after that.
 * 0 and in *dir the directory, owned, now in the trash; -EAGAIN: it was put back, or somebody else did that; -ENOENT:
 * there is none; or -errno.
 */
int trash_take(int store, const char *name, bool (*sure)(int dir, void *ctx), void *ctx, int *dir);

/* Puts back what of this name is in leaving/. 1 if there was something, 0 or -errno. */
int trash_return(int store, const char *name);

/*
 * Puts back what is in leaving/ and was there at the last call too: *seen is what this one sees, for the next; zeroed
 * before the first. Calls should be seconds apart. How many were put back, or -errno.
 */
#define TRASH_SEEN 64
struct trash_seen {
	uint64_t hash[TRASH_SEEN];
	unsigned n;
};
int trash_return_stranded(int store, struct trash_seen *seen);

/* How many entries are in trash/, counted to max. */
int trash_count(int store, int max);

#endif
