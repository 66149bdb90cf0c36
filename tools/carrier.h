/* SPDX-License-Identifier: MIT */
/*
 * An open control file of a mount, and the one binding that it carries.
 *
 * Hides the lines that are written, the refusals that are read, and what becomes of descriptors when the mount is replaced
 * or the process forks: all carriers are in one register, and a forked child closes its copies, so that the parent's last
 * close is the last, and nobody writes to what isn't his. (Closing them there ends nothing: only the opener's close does.)
 *
 * A carrier's lock is held while the daemon is asked. The register's is not, so that a daemon that hangs holds up nobody
 * else. Order: register -> carrier. What a child takes over of a lock is thrown away.
 */
#ifndef SESSIONFS_CARRIER_H
#define SESSIONFS_CARRIER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mount.h"

#define REASON_MAX 64 /* of the daemon's word for a refusal, with its NUL */

struct carrier {
	const char *file;            /* thread, process or handle; static */
	const void *owner;           /* for carriers_shut() */
	pthread_mutex_t lock;        /* guards what follows, but for the links */
	int fd;                      /* -1: none is open */
	bool bound;                  /* through fd */
	uint64_t mount;              /* the id of the one that fd is in */
	struct carrier *prev, *next; /* the register's */
};

/* Makes fork safe. Called once in a process, before all else. 0 or -errno. */
int carriers_init(void);

/* Puts a carrier into the register, with nothing open; and takes it out and closes it. It must not move in between. */
void carrier_enter(struct carrier *c, const char *file, const void *owner);
void carrier_leave(struct carrier *c);

/*
 * Binds through the mount that is in m's place now. 0 or -errno of sessionfs.h, and then nothing is bound. reason, of
 * REASON_MAX bytes, gets the daemon's word for a refusal, or "".
 */
int carrier_bind(struct carrier *c, const struct mount *m, const char *token, const char *release, char *reason);

/* Nothing is bound after it. */
void carrier_unbind(struct carrier *c);

/* Lets the binding, and those that follow it on the same descriptor, outlive execve(2). -ENOKEY if there is none. */
int carrier_keep_on_exec(struct carrier *c);

/* Closes what the carriers of an owner have open. */
void carriers_shut(const void *owner);

/* A string of the JSON object that a control file gives: an owned copy, NULL where it is not there. */
char *carrier_answer(int fd, const char *key);

#endif
