/* SPDX-License-Identifier: MIT */
/*
 * The daemon's configuration: an INI file and -o section.key=value overrides, applied whole or not at all.
 *
 * One const table in config.c names every key, its type, range and default; parsing, --check, overrides and the
 * manual's list follow from it. A key that this release does not implement is unknown, and unknown is an error:
 * nothing is accepted and ignored.
 */
#ifndef SESSIONFS_CONFIG_H
#define SESSIONFS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/limits.h"

enum config_io { IO_GUARDED, IO_STRICT };
enum config_names { NAMES_STEADY, NAMES_HIDDEN };
enum config_cache { CACHE_PRIVATE, CACHE_SHARED };
enum config_release { RELEASE_POLICY_OFF, RELEASE_POLICY_OBSERVE, RELEASE_POLICY_REQUIRE };

struct config {
	bool allow_other;        /* mount.allow_other = yes */
	bool exec;               /* mount.exec = no */
	char *keys;              /* tokens.keys = /etc/sessionfs/keys.d; owned; absolute path */
	char *audience;          /* tokens.audience = sessionfs; owned; 1 to 255 bytes */
	int64_t leeway;          /* tokens.leeway = 30s; seconds, 0 to 10m */
	int64_t max_lifetime;    /* tokens.max_lifetime = 30d; seconds, 1m to 3650d */
	enum config_io io;       /* files.io = guarded | strict */
	enum config_names names; /* files.names = steady | hidden */
	enum config_cache cache; /* files.cache = private | shared */
	bool symlinks;           /* files.symlinks = deny | allow */
	bool special;            /* files.special = deny | allow */
	struct limits limits;    /* limits.session_bytes = none and so on; bytes or numbers, 0 to 2^60; LIMIT_NONE */
	int64_t reserve;         /* limits.reserve = none: bytes of the store kept free; LIMIT_NONE */
	enum config_release release; /* release.policy = off | observe | require */
	int64_t idle;                /* retention.idle = none (0); seconds, 1m to 3650d */
	int64_t lifetime;            /* retention.lifetime = none (0); seconds, 1m to 3650d */
	char *audit;                 /* audit.to = stderr | journal | /absolute/path; owned */
	unsigned threads;            /* daemon.threads = 0 (as many as suit the machine) to 64 */
	int nice;                    /* daemon.nice = -10; -20 to 0 */
	char *name;                  /* daemon.name = auto, or 1 to 64 of A-Z a-z 0-9 . _ -; owned */
	int64_t revalidate;          /* daemon.revalidate = 2s; seconds, 1 to 60 */
};

/*
 * Calls visit for each key that all daemons of one store should have the same value of, with that value as text: where
 * they differ, what one promises the other breaks (sessionfs(8)). They are those of [limits], [retention] and [release],
 * tokens.audience and files.cache.
 */
typedef void config_visit_fn(void *ctx, const char *key, const char *value);
void config_each_agreed(const struct config *c, config_visit_fn *visit, void *ctx);

/* The policy as it is written. */
const char *config_release_name(enum config_release policy);

/* Fills in the defaults. Strings are owned by the config. -ENOMEM. */
int config_init(struct config *c);
void config_free(struct config *c); /* leaves it as if never initialised; fine after a failed init */

/*
 * Reads a file over *c. Every fault is one line "FILE:LINE: section.key: reason" on report (all faults of the file
 * are listed, not just the first). Returns 0 and the new configuration in *c, or -errno (-EINVAL for a fault in the
 * text) with *c as it was.
 */
int config_read(struct config *c, const char *path, FILE *report);

/*
 * Applies "section.key=value[,section.key=value...]"; a backslash escapes a comma. Options that mount(8) hands to
 * every helper are accepted where they change nothing here (suid and dev too: mount.fuse3 adds them, the mount has
 * neither), and refused where something else was meant (ro); exec and allow_other stand for their keys. Faults go to
 * report as "-o section.key: reason". 0 or -EINVAL with *c as it was.
 */
int config_override(struct config *c, const char *options, FILE *report);

#endif
