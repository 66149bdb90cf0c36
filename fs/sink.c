/* SPDX-License-Identifier: MIT */
#include "sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util.h"

#define JOURNAL "/run/systemd/journal/socket"

/* --- opening --- */

static int open_file(const char *path, int *ret)
{
	struct stat st;
	/* O_NONBLOCK: so that a fifo is refused, not waited for. */
	_cleanup_close_ int fd = open(
		path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == ENXIO || errno == ELOOP ? -EINVAL : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = steal_fd(&fd);
	return 0;
}

/*
 * O_NONBLOCK belongs to the open file, which others have as their stderr too: where it can block, ours is opened
 * anew. That fails for another user's pipe, and then poll(2) must do.
 */
static int open_stderr(struct sink *s)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDERR_FILENO, &st) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	s->kind = S_ISSOCK(st.st_mode) ? SINK_SOCKET : SINK_FD;
	s->fd = fd;
	return 0;
}

static int open_journal(int *ret)
{
	struct stat st;
	if (stat(JOURNAL, &st) < 0)
		return -errno;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret = steal_fd(&fd);
	return 0;
}

int sink_open(struct sink *s, const char *to, char *err, size_t errlen)
{
	struct sink new = {.kind = SINK_FD, .fd = -1};
	const char *name = to;
	int r;

	if (!strcmp(to, "stderr")) {
		r = open_stderr(&new);
	} else if (!strcmp(to, "journal")) {
		name = JOURNAL;
		new.kind = SINK_JOURNAL;
		r = open_journal(&new.fd);
	} else if (to[0] == '/') {
		snprintf(new.path, sizeof(new.path), "%s", to);
		r = open_file(to, &new.fd);
	} else {
		snprintf(err, errlen, "audit: %s: neither stderr, journal nor an absolute path", to);
		return -EINVAL;
	}
	if (r) {
		snprintf(err, errlen, "audit: %s: %s", name, r == -EINVAL ? "not a regular file" : strerrordesc_np(-r));
		return r;
	}
	*s = new;
	return 0;
}

void sink_close(struct sink *s)
{
	s->fd = close_fd(s->fd);
}

int sink_reopen(const struct sink *s, int *fd)
{
	*fd = -1;
	return s->path[0] ? open_file(s->path, fd) : 0;
}

void sink_adopt(struct sink *s, int fd)
{
	close_fd(s->fd);
	s->fd = fd;
}

/* --- writing --- */

static ssize_t send_journal(int fd, const char *line, size_t n)
{
	static char fields[] = "SYSLOG_IDENTIFIER=sessionfs\nPRIORITY=5\nMESSAGE=";
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = JOURNAL};
	struct iovec iov[] = {
		{.iov_base = fields, .iov_len = sizeof(fields) - 1},
		{.iov_base = (void *)(uintptr_t)line, .iov_len = n},
	};
	struct msghdr msg = {.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov)};

	/* Not connected: a journald that was started again has another socket under the same name. */
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : (ssize_t)n;
}

static ssize_t write_fd(int fd, const char *p, size_t n)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};

	if (poll(&out, 1, 0) == 0) { /* for a descriptor that could not be made non-blocking */
		errno = EAGAIN;
		return -1;
	}
	return write(fd, p, n);
}

ssize_t sink_write(const struct sink *s, const char *p, size_t n)
{
	ssize_t r = -1;

	switch (s->kind) {
	case SINK_JOURNAL: r = send_journal(s->fd, p, n); break;
	case SINK_SOCKET: r = send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL); break;
	case SINK_FD: r = write_fd(s->fd, p, n); break;
	}
	return r < 0 ? -errno : r;
}

const char *sink_name(const struct sink *s)
{
	return s->path[0] ? s->path : s->kind == SINK_JOURNAL ? JOURNAL : NULL;
}
