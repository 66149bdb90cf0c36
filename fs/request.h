/* SPDX-License-Identifier: MIT */
/*
 * The one way from a FUSE request to a file: caller -> binding -> session -> node, then the operation's needs.
 *
 * Every operation starts with request_begin(), which looks up in the table of request.c what the operation needs,
 * decides, and either fills in a struct request or has replied and returned false. What it decides, in this order:
 *   1. the caller is known (a pid of 0 is nobody)
 *   2. the number names the root, a control file, or a live node (else ESTALE)
 *   3. authority: a caller who is bound has the nodes of that session alone, and only while its binding is good; a
 *      caller who is not bound has the nodes of a live handle. An open file is worth nothing by itself: its node is
 *      judged again at each use. That is request_may(), which alone decides it: here for nodes, in root.c for the names
 *      by which sessions are reached
 *   4. the directories above may be searched by this user
 *   5. the thread takes on the caller's identity: all backing calls after it are checked by the kernel as the caller's
 * and, for an operation that takes names away by a handle, that there is room to tell the route of <sid>.
 *
 * A request is replied to exactly once, by one of the request_reply functions; request_end() (the cleanup) aborts
 * otherwise. Refusals are counted and audited here and nowhere else.
 */
#ifndef SESSIONFS_REQUEST_H
#define SESSIONFS_REQUEST_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 317
#endif
#include <fuse_lowlevel.h>

#include "fs.h"
#include "stats.h"
#include "util.h"

/*
 * Seconds. Names are unique, and every use of a node is judged, so the kernel may keep them; only what another route
 * changes has to be told (invalidate.h). With cache = shared it keeps none: nobody tells what another instance changed.
 */
#define ENTRY_TIMEOUT 3600.0

struct request {
	struct fs *fs;
	fuse_req_t req;
	enum stats_op op;
	pid_t tid;
	uid_t uid;
	gid_t gid;
	int64_t now;             /* Unix seconds, read once */
	struct binding *binding; /* the caller's, or NULL; referenced */
	struct binding *via;     /* the handle's, for a caller who is not bound; referenced */
	int rights; /* of that binding: 0, -EKEYEXPIRED, -EKEYREVOKED; -ENOKEY when not bound; -EACCES: not known */

	uint64_t ino;
	struct node *node;  /* of ino; NULL for the root and the control files; referenced */
	int fd;             /* O_PATH of node; -1 without one */
	struct file *file;  /* where the operation has one; referenced */
	struct node *node2; /* the second directory or file, where there is one */
	int fd2;

	bool replied;
};

#define _cleanup_request_ _cleanup_(request_end)

/*
 * True when the operation may go on. fi is NULL where the operation has no open file (or may do without).
 * False when it was refused; the reply is sent.
 */
bool request_begin(struct request *r, fuse_req_t req, enum stats_op op, fuse_ino_t ino, struct fuse_file_info *fi);

/* The same with the second node of rename and link, or the second file of copy_file_range. */
bool request_begin2(struct request *r, fuse_req_t req, enum stats_op op, fuse_ino_t ino, struct fuse_file_info *fi,
		    fuse_ino_t ino2, struct fuse_file_info *fi2, struct file **file2);

/*
 * For LOOKUP alone: 0, or the negative errno of a refusal that was counted and audited but not yet replied to.
 * r->node is there where the number was good, so that a name which is live can be let through (DESIGN: steady names).
 */
int request_check(struct request *r, fuse_req_t req, enum stats_op op, fuse_ino_t ino, struct fuse_file_info *fi);
void request_end(struct request *r);

/*
 * RELEASE, RELEASEDIR and FORGET need nobody's permission: no caller is named, nothing is given. Counts the
 * operation.
 */
struct fs *request_unchecked(fuse_req_t req, enum stats_op op);

/*
 * Counts and audits a refusal that an operation itself has to make. err is a negative errno, returned; with REASON_none it
 * says all.
 */
int request_refused(struct request *r, int err, enum reason reason, const char *target);

/*
 * Whether the caller may have what is of a session (0: of nobody's) by a route (0: <sid>; else the handle's number). 0,
 * -EACCES, or why he has no right to anything.
 */
int request_may(struct request *r, uint64_t session, uint64_t route);

/* The binding by which the caller has a node of his: his own, or the handle on the way; 0 for none (n is NULL). */
uint64_t request_right(const struct request *r, const struct node *n);

/* Whether the caller may administer: root, or the daemon's own user. */
bool request_admin(const struct request *r);

/*
 * Marks the request as replied to, and gives what libfuse's fuse_reply functions want: for the replies that have no
 * function below. Aborts where there was a reply already.
 */
fuse_req_t request_replying(struct request *r);

void request_reply_err(struct request *r, int err); /* 0 or a negative errno */
void request_reply_attr(struct request *r, const struct stat *st);
void request_reply_buf(struct request *r, const void *buf, size_t size);

/*
 * Makes the node of a file found below r->node (or of the root of a session) and fills in *e, with one lookup counted
 * for the kernel. fd is consumed. 0 or
 * -errno. request_forget() takes it back where the reply could not be given.
 */
int request_entry(struct request *r, uint64_t session, uint64_t route, uint64_t parent, int fd /* consumed */,
		  const struct stat *st, bool keep, struct fuse_entry_param *e);
void request_reply_entry(struct request *r, const struct fuse_entry_param *e);

/* An entry for a node that the kernel knows already. */
void request_known_entry(struct request *r, const struct node *n, const struct stat *st, struct fuse_entry_param *e);

#endif
