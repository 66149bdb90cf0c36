/* SPDX-License-Identifier: MIT */
/*
 * The release guard: which release of the application each worker runs, and whether that one may serve.
 *
 * A worker is a process that binds. `observe` remembers what it names; `require` admits the release of STORE/release.json
 * (requirement.h) alone. Fail closed: where that file is missing, or was never readable, `require` admits nobody; one that
 * can't be read any more leaves in force what was read last.
 *
 * Bounded: RELEASE_WORKERS workers and HEARTBEAT_RELEASES_MAX releases are remembered, the least recently bound go first.
 * One mutex, never held across a system call.
 */
#ifndef SESSIONFS_RELEASE_H
#define SESSIONFS_RELEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "config.h"
#include "heartbeat.h"

#define RELEASE_WORKERS 1024

struct release_guard;

/* storefd is borrowed for the guard's life. Reads release.json where the policy asks for it. NULL without memory. */
struct release_guard *release_guard_new(enum config_release policy, int storefd);
void release_guard_free(struct release_guard *g); /* NULL is fine */

/* Reads release.json afresh. What becomes of it (missing, changed, unreadable) is said in the log, once. */
void release_refresh(struct release_guard *g);

/*
 * Whether a worker of this release ("" for one that names none) may bind, at `now` (Unix seconds). DRAINING: for a session
 * that this release served last, and no other.
 */
enum release_verdict { RELEASE_ADMITTED, RELEASE_DRAINING, RELEASE_REFUSED };
enum release_verdict release_judge(struct release_guard *g, const char *release, int64_t now);

/* Counts a bind of a worker, the process pid. Does nothing with the policy `off`. */
void release_bound(struct release_guard *g, pid_t pid, const char *release, int64_t now);

/* Notes that a worker was refused. True for the first time under this requirement: the one that is audited. */
bool release_refused(struct release_guard *g, pid_t pid, const char *release, int64_t now);

/*
 * The releases that bound last and how many living workers each has, most recent first; `sessions` is left 0. Forgets dead
 * workers. Returns how many.
 */
size_t release_list(struct release_guard *g, struct heartbeat_release list[static HEARTBEAT_RELEASES_MAX]);

/* Their Prometheus text. */
void release_metrics(struct release_guard *g, FILE *f);

#endif
