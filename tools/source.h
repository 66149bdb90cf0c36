/* SPDX-License-Identifier: MIT */
/* What a program's STORE|MOUNT argument leads to: a store, and the daemon of a mount where it is one. */
#ifndef SESSIONFS_SOURCE_H
#define SESSIONFS_SOURCE_H

#include <jansson.h>

#include "store.h"

struct source {
	struct store *store; /* owned; NULL where a mount's store can't be read */
	json_t *answer;      /* owned: what .sessionfs/sessions says; NULL without a mount */
	int status;          /* EXIT_DONE, or that of a complaint about the store of a mount */
};

/*
 * path is a store, or a mount, or leads into one. Complains of what is wrong. EXIT_DONE where there is something to go on
 * with; else an exit status, with nothing to close.
 */
int source_open(struct source *s, const char *path);

/* The same for what needs the store. */
int source_open_store(struct source *s, const char *path);

/* What the daemon says of each session, by its id: an owned object, empty without a mount; NULL without memory. */
json_t *source_live(const struct source *s);

void source_close(struct source *s);

#endif
