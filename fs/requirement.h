/* SPDX-License-Identifier: MIT */
/*
 * STORE/release.json: which release of the application may serve, for every instance at once.
 *
 *     {"version":3,"required":"2026.02","since":"2026-01-31T09:00:00Z","draining":"2026.01","until":"2026-01-31T09:10:00Z"}
 *
 * No `required`: any may. `draining` is admitted until `until`, for sessions that it serves already. Whoever replaces the
 * file adds one to `version`. Written by session-release(1) alone; read by every daemon whose policy is `require`.
 */
#ifndef SESSIONFS_REQUIREMENT_H
#define SESSIONFS_REQUIREMENT_H

#include <stdint.h>

#include "proto/sid.h"

struct requirement {
	uint64_t version;
	char required[RELEASE_MAX + 1]; /* "": any */
	int64_t since;                  /* Unix seconds */
	char draining[RELEASE_MAX + 1]; /* "": none */
	int64_t until;                  /* Unix seconds; 0 without draining */
};

/* storefd is the store's directory, which may be O_PATH. 0, -ENOENT, -EUCLEAN (not one of ours), -errno. */
int requirement_read(int storefd, struct requirement *ret);

/* Replaces the file; on 0 it is there, also after a crash. -EINVAL for one that could not be read again, -errno. */
int requirement_write(int storefd, const struct requirement *r);

#endif
