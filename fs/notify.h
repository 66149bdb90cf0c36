/* SPDX-License-Identifier: MIT */
/*
 * Tells the service manager how the daemon does: sd_notify(3)'s protocol, a datagram to the socket that $NOTIFY_SOCKET
 * names. It is so small that libsystemd would be the larger part of it.
 *
 * Before notify_open() found an address, and without one, the rest does nothing. For the main thread alone. A manager
 * that takes nothing holds the caller up for some seconds at most; what could not be told is logged, and is no error:
 * the manager has its own patience.
 */
#ifndef SESSIONFS_NOTIFY_H
#define SESSIONFS_NOTIFY_H

#include <stdbool.h>

/*
 * Takes $NOTIFY_SOCKET out of the environment, so that no child speaks for the daemon, and keeps the address if told to
 * use it. A daemon that goes to the background must not: the socket is then that of whoever started it.
 */
void notify_open(bool use);

/* The mount is there, or a reload is over. The status is one line for people. */
__attribute__((format(printf, 1, 2))) void notify_ready(const char *fmt, ...);

/* Between this and the next notify_ready() the keys are being read. */
void notify_reloading(void);

void notify_stopping(void);

#endif
