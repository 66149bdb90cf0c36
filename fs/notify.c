/* SPDX-License-Identifier: MIT */
#include "notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "log.h"
#include "util.h"

enum { PATIENCE_S = 5, STATUS_MAX = 1024 };

static struct sockaddr_un to;
static socklen_t to_len; /* 0: there is nobody to tell */

/* As in the shell's variable: a path, or '@' and a name in the abstract namespace. */
static int address_parse(const char *text, struct sockaddr_un *ret, socklen_t *ret_len)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || n < 2)
		return -EAFNOSUPPORT;
	if (n >=
	    sizeof(a.sun_path)) /* a path needs its NUL; for a name that is one byte too strict, as it is elsewhere */
		return -ENAMETOOLONG;
	memcpy(a.sun_path, text, n);
	if (text[0] == '@')
		a.sun_path[0] = '\0';
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (text[0] == '/'));
	*ret = a;
	return 0;
}

void notify_open(bool use)
{
	const char *text = getenv("NOTIFY_SOCKET");

	if (use && text && *text) {
		int err = address_parse(text, &to, &to_len);
		if (err)
			log_warn("NOTIFY_SOCKET=%s: %s", text, strerror(-err));
	}
	unsetenv("NOTIFY_SOCKET");
}

__attribute__((format(printf, 1, 2))) static void tell(const char *fmt, ...)
{
	char text[STATUS_MAX + 64];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!to_len || n < 0)
		return;

	const struct timeval patience = {.tv_sec = PATIENCE_S};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (const struct sockaddr *)&to, to_len) < 0)
		log_warn("telling the service manager: %s", strerror(errno));
}

void notify_ready(const char *fmt, ...)
{
	char status[STATUS_MAX]; /* what is longer is cut */
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(status, sizeof(status), fmt, ap);
	va_end(ap);
	for (char *c = status; *c; c++)
		if ((unsigned char)*c < 0x20)
			*c = '?'; /* names are in it, and a line of its own would be an assignment */
	tell("READY=1\nSTATUS=%s\n", status);
}

/* The time tells the manager which of several reloads this one is (Type=notify-reload, systemd 253). */
void notify_reloading(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	tell("RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n", (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void notify_stopping(void)
{
	tell("STOPPING=1\n");
}
