/* SPDX-License-Identifier: MIT */
/*
 * Where the audit's lines go: standard error, a file, or the journal.
 *
 * Nothing here blocks but the opening: a sink that takes nothing says so, and is asked again by whoever has the line. What
 * a line is, is the caller's business; to the journal each sink_write() is an entry.
 */
#ifndef SESSIONFS_SINK_H
#define SESSIONFS_SINK_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

struct sink {
	enum { SINK_FD, SINK_SOCKET, SINK_JOURNAL } kind;
	int fd;              /* owned; -1: closed */
	char path[PATH_MAX]; /* "" unless to a file */
};

/*
 * to: "stderr", "journal" or an absolute path, as audit_open() says. 0, and then the sink is the caller's to close, or
 * -errno with a reason in err.
 */
int sink_open(struct sink *s, const char *to, char *err, size_t errlen);
void sink_close(struct sink *s);

/*
 * The file of a sink opened anew, for the caller to own; -1 where it is no file. 0 or -errno. Looks at nothing of the sink
 * that sink_adopt() changes, so it needs no lock against the one who writes.
 */
int sink_reopen(const struct sink *s, int *fd);
void sink_adopt(struct sink *s, int fd /* consumed */);

/* How much of it was taken; -errno, which is -EAGAIN where nothing is taken at the moment. */
ssize_t sink_write(const struct sink *s, const char *p, size_t n);

/* For messages about it; NULL for standard error, where such a message would go too. */
const char *sink_name(const struct sink *s);

#endif
