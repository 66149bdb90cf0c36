/* SPDX-License-Identifier: MIT */
/*
 * Which instances over a store are dead, by their heartbeats (roster.h): one that has stopped, that began anew, whose file
 * is not there, or is the same for LEDGER_DEAD ms. No clock but the witness's own is asked, so nothing is known of an
 * instance that is seen for the first time: it lives. Of more than WITNESS_MAX instances the others live, too.
 *
 * For one thread at a time.
 */
#ifndef SESSIONFS_WITNESS_H
#define SESSIONFS_WITNESS_H

#include "heartbeat.h"

#define WITNESS_MAX 64

struct witness {
	int storefd;    /* borrowed */
	int64_t looked; /* ms, 0: never */
	size_t n;
	struct seen {
		char name[INSTANCE_NAME_MAX + 1], run[RUN_ID_LEN + 1];
		int64_t beat, since;        /* since: when the witness first saw this beat, in ms */
		bool there, stopped, moved; /* moved: it has been seen to beat */
	} seen[WITNESS_MAX];
};

/* Reads the heartbeats, at a time in ms that goes on while the machine sleeps. 0 or -errno. */
int witness_look(struct witness *w, int64_t now);

/* Whether the run of an instance that wrote something is over. */
bool witness_is_dead(const struct witness *w, const char *instance, const char *run);

/* Whether more looks would tell: it is not dead, and has not been seen to beat either. */
bool witness_is_open(const struct witness *w, const char *instance, const char *run);

#endif
