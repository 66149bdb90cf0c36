/* SPDX-License-Identifier: MIT */
/*
 * A listing: sessions with all that is known of them, collected from a store, and from a mount's daemon where there is one.
 *
 * What a store holds is read from the store; who is in a session only the daemon knows, and it says so in the mount's
 * .sessionfs/sessions. Where the daemon knows of a session that can't be read in the store, it is listed from the daemon's
 * word alone.
 */
#ifndef SESSIONFS_LISTING_H
#define SESSIONFS_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "progress.h"
#include "source.h"

/* In the order in which they are sorted. */
enum state { STATE_LIVE, STATE_IDLE, STATE_EXPIRED, STATE_REVOKED, STATE_BROKEN };

/* What there is to show of a session, and, but for the last, to sort by. */
enum column {
	COLUMN_ID,
	COLUMN_USER,
	COLUMN_STATE,
	COLUMN_HOLDERS,
	COLUMN_FILES,
	COLUMN_BYTES,
	COLUMN_CREATED,
	COLUMN_USED,
	COLUMN_EXPIRES,
	COLUMN_RELEASE,
	COLUMNS
};

struct row {
	char name[SID_HASH_LEN + 1]; /* in the store */
	struct meta meta;            /* of a broken session all zero */
	int error;                   /* of reading meta.json, negative errno */
	bool counted;                /* files and bytes are known */
	uint64_t files, bytes;
	json_t *live; /* what the daemon says of it; the listing's; NULL is nothing */
	size_t holders;
	enum state state;
};

struct listing {
	/* which sessions: set before listing_collect() */
	const char *user; /* whose alone, NULL for everybody's */
	bool live_only;   /* those that somebody holds; needs a mount */
	bool uncounted;   /* leaves out how many files and bytes they have, which takes a walk through them */
	/* the source */
	struct source source;
	json_t *by_sid; /* owned; the answer's sessions */
	int64_t now;    /* when it was collected, Unix seconds */
	/* what was found */
	struct row *rows; /* owned */
	size_t n, room;
	int status; /* EXIT_DONE, or that of a complaint about a part of it */
	struct progress progress;
};

/*
 * Fills in a listing that was zeroed but for the choice above (and progress.off). path is a store, or a mount, or leads into one. Complains
 * of what is wrong. EXIT_DONE where there is a listing, of whose parts l->status tells; else an exit status.
 */
int listing_collect(struct listing *l, const char *path);
void listing_free(struct listing *l);

/* The greatest number, or the newest, first; names in their own order, and what ends first first. */
void listing_sort(struct listing *l, enum column by);

/* "live", …; and why a session is broken. */
const char *state_name(enum state state);
const char *row_error(const struct row *row);

/* A time in what the daemon says: Unix seconds, 0 where it is absent. */
int64_t listing_time(const json_t *said, const char *key);

#endif
