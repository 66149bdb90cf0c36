/* SPDX-License-Identifier: MIT */
/*
 * One mounted filesystem: what main.c puts together and every request reaches. Set up before the first request, then
 * const.
 */
#ifndef SESSIONFS_FS_H
#define SESSIONFS_FS_H

#include "backing.h"
#include "binding.h"
#include "config.h"
#include "file.h"
#include "heartbeat.h"
#include "inode.h"
#include "invalidate.h"
#include "keyring.h"
#include "node.h"
#include "quota.h"
#include "room.h"
#include "session.h"
#include "store.h"

struct release_guard;

struct fs {
	struct config config;
	struct backing backing;
	struct store *store;
	struct keyring *keys;
	struct session_table *sessions;
	struct binding_table *bindings;
	struct node_table *nodes;
	struct file_table *files;
	struct invalidator *inval;
	struct release_guard *release;
	struct quota *quota;
	struct inode_table *inodes;
	struct room room;
	char mountpoint[4096];
	char instance[INSTANCE_NAME_MAX + 1]; /* this daemon's name among those of the store */
	char run[RUN_ID_LEN + 1];             /* new with each start of it */
	uid_t uid;                            /* the daemon's own: an admin, beside root */
	bool privileged;                      /* may switch users */
	atomic_bool passthrough; /* chosen in INIT, off when the store turns out to have none; never with io = strict */
	int64_t started;
};

#endif
