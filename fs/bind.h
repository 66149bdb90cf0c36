/* SPDX-License-Identifier: MIT */
/*
 * What an open control file carries: at most one binding, and who may change it.
 *
 * `bind` on it replaces what it carried, a refused `bind` leaves it carrying nothing, and EINVAL changes nothing.
 * Only the process that opened the file may write to it. Whoever calls these functions holds the control file's mutex
 * (control.c).
 */
#ifndef SESSIONFS_BIND_H
#define SESSIONFS_BIND_H

#include "binding.h"
#include "proto/grammar.h"
#include "reason.h"

struct fs;
struct request;

struct carrier {
	struct fs *fs;
	enum scope scope;
	uint64_t ino;       /* the file's number: its descriptors are told by it */
	pid_t opener;       /* thread group */
	int opener_pin;     /* owned; -1 before the first bind */
	bool cloexec;       /* seen to be close-on-exec, which is asked once */
	uint64_t binding;   /* 0: none */
	int refused;        /* negative errno of the last bind, 0 */
	enum reason reason; /* and why */
};

/* 0 or -ESRCH. */
int bind_open(struct carrier *c, struct fs *fs, enum scope scope, uint64_t ino, pid_t tid);
void bind_close(struct carrier *c);

/* Whether the caller is a thread of the process that opened the file. */
bool bind_is_opener(const struct carrier *c, const struct request *r);

/* The verb bind: 0 or a negative errno of sessionfs-control(5). */
int bind_token(struct carrier *c, struct request *r, const struct command *cmd);

/* Ends what the file carries; why is for the audit. 0. */
int bind_end(struct carrier *c, const char *why);

/* JSON of what it carries, or why not; owned by the caller. NULL without memory. */
char *bind_report(const struct carrier *c, int64_t now, size_t *len);

/*
 * For the admin: all of a session's rights end here and now; drop removes its files too. 0, -ENOENT or -errno of the
 * store.
 */
int bind_revoke(struct fs *fs, const char *sid);
int bind_drop(struct fs *fs, const char *sid);

/* Closes a session that was revoked in the store, or removed from it (gone). why is for the audit. */
void bind_ended(struct fs *fs, struct session *s, bool gone, const char *why);

/* Begins to count a live session that another instance counts. */
void bind_count(struct fs *fs, struct session *s);

/* The opener closed a descriptor of the file: ends the binding where the rules say so. */
void bind_flush(struct carrier *c);

/* Ends the bindings whose key is not trusted any more. */
void bind_recheck_keys(struct fs *fs);

/* Reads what release is required, and ends the bindings of those that are not admitted any more. */
void bind_recheck_releases(struct fs *fs);

/* Ends a binding that nobody can use any more, with its audit line. Whether it was this call that ended it. */
bool bind_over(struct fs *fs, struct binding *b, const char *why);

#endif
