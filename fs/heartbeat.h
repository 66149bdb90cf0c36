/* SPDX-License-Identifier: MIT */
/*
 * nodes/<instance>.json: what a daemon says of itself in the store, as a plain value and as text. No fds, no clock.
 *
 *     {"name":"web1-3f2a91c0","run":"9f…","version":"0.1.0","host":"web1","mount":"/srv/app/instance/uploads","pid":812,
 *      "since":"2026-01-31T09:00:00Z","beat":"…","every":5,"stopped":true,"policy":"observe","sessions":12,"bindings":6,
 *      "mixed":3,"settings":{"files.cache":"shared"},"releases":[{"release":"2026.01","workers":6,"refused":0,"sessions":9,"binds":1203,"last":"…"}]}
 *
 * Who reads it may meet one of a later release, half a disk's worth of garbage, or a name that is not the file's: it is
 * what another machine says, and nothing is decided by it but whether that instance lives (witness.h).
 */
#ifndef SESSIONFS_HEARTBEAT_H
#define SESSIONFS_HEARTBEAT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/sid.h"

#define INSTANCE_NAME_MAX 64
#define HEARTBEAT_SIZE_MAX 65536  /* bytes of a file; more than any that we write */
#define HEARTBEAT_RELEASES_MAX 32 /* those that were bound last */
#define HEARTBEAT_SETTINGS_MAX 24
#define HEARTBEAT_KEY_MAX 47
#define HEARTBEAT_VALUE_MAX 255
#define RUN_ID_LEN 16 /* lower-case hex digits, new with each start */

struct heartbeat_release {
	char release[RELEASE_MAX + 1]; /* "" for workers that name none */
	uint64_t workers;              /* living processes that bound with it last */
	uint64_t refused;              /* those that were refused when they tried last */
	uint64_t sessions;             /* held by this instance, and served by it last */
	uint64_t binds;                /* since the instance started */
	int64_t last;                  /* Unix seconds of the last bind */
};

/* A key that the instances of a store should agree on (agreement.h), and what it is there. */
struct heartbeat_setting {
	char key[HEARTBEAT_KEY_MAX + 1];
	char value[HEARTBEAT_VALUE_MAX + 1];
};

struct heartbeat {
	char name[INSTANCE_NAME_MAX + 1];
	char run[RUN_ID_LEN + 1];
	char version[32];
	char host[HOST_NAME_MAX + 1];
	char mount[PATH_MAX];
	uint64_t pid;
	int64_t since, beat; /* Unix seconds, by that host's clock */
	uint64_t every;      /* seconds between two beats */
	bool stopped;        /* an orderly end: there will be no next beat */
	char policy[16];     /* release.policy */
	uint64_t sessions, bindings;
	uint64_t mixed; /* sessions held by this instance that more than one release served */
	size_t n_settings;
	struct heartbeat_setting settings[HEARTBEAT_SETTINGS_MAX];
	size_t n_releases;
	struct heartbeat_release releases[HEARTBEAT_RELEASES_MAX];
};

/* Whether s is the name of an instance: 1 to INSTANCE_NAME_MAX of A-Z a-z 0-9 . _ -, not starting with a dot. */
bool instance_name_valid(const char *s);

bool run_id_valid(const char *s);

/* All of len bytes. 0; -EUCLEAN for what no instance wrote, or only half of it; -ENOMEM. */
int heartbeat_parse(const char *text, size_t len, struct heartbeat *ret);

/* One line, owned by the caller. 0; -EINVAL for one that heartbeat_parse() would refuse; -ENOMEM. */
int heartbeat_format(const struct heartbeat *h, char **ret, size_t *len);

#endif
