/* SPDX-License-Identifier: MIT */
#include "priority.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "util.h"

/*
 * With autogroups a nice counts among the processes of one terminal session, or service, alone, and the session has one of
 * its own. It is ours to change where we are its leader. Without them it needs no more, so that nobody hears of a failure.
 */
static void raise_session(int nice)
{
	if (getsid(0) != getpid())
		return;
	_cleanup_close_ int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		dprintf(fd, "%d", nice);
}

/* Linux gives each thread its own, and means the calling one by 0. */
int priority_raise(int nice)
{
	if (getpriority(PRIO_PROCESS, 0) <= nice)
		return 0;
	if (setpriority(PRIO_PROCESS, 0, nice) < 0)
		return -errno;
	raise_session(nice);
	return 0;
}

void priority_lower(void)
{
	if (getpriority(PRIO_PROCESS, 0) < 0)
		setpriority(PRIO_PROCESS, 0, 0);
}
