/* SPDX-License-Identifier: MIT */
/* What the daemon may do: limits raised once, and then only the capabilities that it needs. Before any thread. */
#ifndef SESSIONFS_PRIVILEGES_H
#define SESSIONFS_PRIVILEGES_H

#include <stdbool.h>

/* Raises the number of descriptors and lifts the file size limit. Returns how many descriptors there may be. */
unsigned privileges_limits(void);

/*
 * Keeps, of root's capabilities: SYS_ADMIN (mount, umount, passthrough), DAC_READ_SEARCH (open_by_handle_at),
 * DAC_OVERRIDE, CHOWN, FOWNER, FSETID (root callers, and the roots of sessions), SETUID, SETGID (taking on a caller's
 * identity), SYS_PTRACE (whether a caller's control fd is close-on-exec), and MKNOD where device files are allowed.
 * Gives up the rest for good, and gaining any through exec. 0 or -errno.
 */
int privileges_drop(bool mknod);

#endif
