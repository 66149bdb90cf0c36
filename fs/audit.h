/* SPDX-License-Identifier: MIT */
/*
 * The audit log: one JSON object a line, for each bind, unbind, refused bind and refused operation.
 *
 * audit_write() never blocks and never fails the request: it formats into a bounded queue that a thread of its own
 * drains; what does not fit is counted, and the count is written as an event "dropped" as soon as there is room.
 * Repeats of the same refusal (event, operation, errno, reason, pid, uid, sub, sid, target) within 10 seconds are
 * counted rather than written: the first is written at once, the rest as one line with "repeated": N when the 10
 * seconds are over (or at close, or when the bounded table of recent refusals needs the place).
 *
 * A sink that takes nothing (a full disk, a pipe that nobody reads, no journald) is tried again until it does. Only
 * an overflow of the queue loses events meanwhile, and those are counted; trouble with a file or the journal is
 * logged once.
 *
 * Keys, always in this order, absent when unknown: time (RFC 3339 UTC, milliseconds), event, op, errno (symbolic
 * name), reason, tid, pid, uid, comm, sub, sid, target, scope, release, exp (RFC 3339), repeated, count (of dropped
 * events). Strings are JSON-escaped whatever bytes they have (invalid UTF-8 becomes U+FFFD) and cut at a length that
 * no genuine one has. Tokens and keys never come here: there is no field that could hold one.
 *
 * audit_open() and audit_close() are for one thread, and nothing else runs beside audit_close() but audit_write() and
 * audit_is_repeat(), which do nothing while no log is open.
 */
#ifndef SESSIONFS_AUDIT_H
#define SESSIONFS_AUDIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct audit_event {
	const char *event;  /* "bind", "unbind", "bind-refused", "refused", "admin", "start", "stop", ... */
	const char *op;     /* FUSE operation in lower case, or NULL */
	const char *reason; /* short words, or NULL */
	int error;          /* positive errno, 0 for none */
	pid_t tid, pid;     /* 0 unknown */
	uid_t uid;          /* (uid_t)-1 unknown */
	const char *comm;   /* NULL unknown */
	const char *sub, *sid;
	const char *target; /* sid of the session that was reached for, when it is another */
	const char *scope;  /* "thread", "process", "handle" */
	const char *release;
	int64_t exp; /* Unix seconds; 0 is none */
};

/*
 * Opens the one audit log of the process. to: "stderr", "journal" (native protocol datagrams to
 * /run/systemd/journal/socket, MESSAGE= the JSON line, SYSLOG_IDENTIFIER=sessionfs) or an absolute path (created
 * 0600, O_APPEND; must be a regular file). Starts the thread, so it comes after any fork. 0 or -errno with a reason
 * in err.
 */
int audit_open(const char *to, char *err, size_t errlen);

/* Never blocks (a short mutex aside). Strings are copied; they may be gone when it returns. */
void audit_write(const struct audit_event *ev);

/* True when audit_write(ev) would only count a repeat: lets the caller skip finding out comm. Cheap. */
int audit_is_repeat(const struct audit_event *ev);

/* Opens the file again (after logrotate). Keeps the old one on failure. 0 or -errno. */
int audit_reopen(void);

/*
 * Writes what is queued and the pending repeats, stops the thread, closes. A sink that takes nothing is given two
 * seconds; what is lost then is counted in the log.
 */
void audit_close(void);

/* Symbolic name of a positive errno ("EACCES"), or "E<number>". Static storage or thread-local; never NULL. */
const char *errno_name(int error);

#endif
