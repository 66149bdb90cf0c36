/* SPDX-License-Identifier: MIT */
/*
 * Whether an instance over a store is dead, by its heartbeats (roster.h): it has stopped, or began anew, or its file is not
 * there, or is the same for LEDGER_DEAD ms. That takes two looks: of one that is seen for the first time nothing is known,
 * and so it lives; as do those beyond WITNESS_MAX.
 *
 * An instance beats before it writes anything else. So who reads what a run wrote, and asks then, is never told that a
 * run is over which has just begun: each question reads the heartbeat afresh.
 *
 * For one thread at a time. Questions go to the store.
 */
#ifndef SESSIONFS_WITNESS_H
#define SESSIONFS_WITNESS_H

#include "heartbeat.h"

#define WITNESS_MAX 64

struct witness {
	int storefd; /* borrowed */
	int64_t now; /* ms, on a clock that goes on while the machine sleeps: set before each round of questions */
	size_t n;
	struct seen {
		char name[INSTANCE_NAME_MAX + 1], run[RUN_ID_LEN + 1];
		int64_t beat, since; /* since when, in ms, this beat was the last */
		bool moved, fresh;   /* it was seen to beat */
	} seen[WITNESS_MAX];
};

/* Whether the run of an instance that wrote something is over. */
bool witness_is_dead(struct witness *w, const char *instance, const char *run);

/* The same; *open: it has not been seen to beat either, so that later questions will tell more. */
bool witness_ask(struct witness *w, const char *instance, const char *run, bool *open);

#endif
