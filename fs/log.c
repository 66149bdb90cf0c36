/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <poll.h>
#include <stdarg.h>

#include "util.h"

/* Of syslog(3); systemd takes them off a service's stderr again. */
enum { PRIORITY_ERROR = 3, PRIORITY_WARNING = 4, PRIORITY_INFO = 6 };

/* How long a reader of stderr that doesn't read may hold up the thread that has something to say. */
enum { PATIENCE_MS = 100 };

__attribute__((format(printf, 2, 0))) static void log_line(int priority, const char *fmt, va_list ap)
{
	int saved = errno;
	char line[1024];
	size_t room = sizeof(line) - 1; /* for the newline */
	size_t n = 0;

	if (getenv("JOURNAL_STREAM"))
		n = (size_t)snprintf(line, room, "<%d>", priority);
	n += (size_t)snprintf(line + n, room - n, "sessionfs: ");
	size_t start = n;

	errno = saved; /* for %m */
	int got = vsnprintf(line + n, room - n, fmt, ap);
	if (got > 0)
		n += (size_t)got < room - n ? (size_t)got : room - n - 1;

	/* Names come from strangers: a message stays one line, and can't move a terminal's cursor. */
	for (size_t i = start; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';

	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	if (poll(&out, 1, PATIENCE_MS) > 0 && out.revents == POLLOUT) { /* a broken pipe would be a signal */
		ssize_t ignored = write(STDERR_FILENO, line, n);
		(void)ignored; /* there is nowhere left to say so */
	}
	errno = saved;
}

#define LOG_FUNCTION(name, priority) \
	void name(const char *fmt, ...) \
	{ \
		va_list ap; \
		va_start(ap, fmt); \
		log_line(priority, fmt, ap); \
		va_end(ap); \
	}

LOG_FUNCTION(log_info, PRIORITY_INFO)
LOG_FUNCTION(log_warn, PRIORITY_WARNING)
LOG_FUNCTION(log_error, PRIORITY_ERROR)
