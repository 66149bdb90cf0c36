/* SPDX-License-Identifier: MIT */
/*
 * A count of a session's tree, taken while others may be at work, that is either right or not taken.
 *
 * It holds where each line of another instance was closed (or a dead one's) before the walk, and is the same after it:
 * then those instances changed nothing meanwhile (ledger.h). That the own instance changed nothing is for the caller to
 * know. Blocks as long as the store does, and needs the daemon's own identity.
 */
#ifndef SESSIONFS_COUNT_H
#define SESSIONFS_COUNT_H

#include "ledger.h"
#include "witness.h"

struct count {
	struct usage tree;
	struct ledger_sum sum; /* of the others, and mine */
};

/*
 * Counts the session of a directory; mine is left out of the others. most: of so many names, and no more (0: any number).
 * pace: with rests, for a count in the background. 0; -EBUSY: in use elsewhere; -EAGAIN: it did not hold still; -E2BIG:
 * there are more names; -ENOENT: deleted; -errno.
 */
int count_take(int session, const char *mine, struct witness *w, uint64_t most, bool pace, struct count *ret);

/*
 * Writes the base that makes the ledger right, where own is what the own line accounts for of the tree; folds the lines of
 * dead instances, and clears what is garbage. 0 or -errno.
 */
int count_keep(struct store *s, int session, const char *mine, struct witness *w, const struct count *c,
	       const struct usage *own);

#endif
