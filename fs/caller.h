/* SPDX-License-Identifier: MIT */
/*
 * Who sent a request: what the kernel knows of a thread. The line of its parents is lineage.h, taking on its identity
 * creds.h; this header brings both.
 *
 * A thread id is a number that is used again. A pin is a descriptor that stands for one thread or process until it is
 * gone: a pidfd (PIDFD_THREAD, Linux 6.9) or, on older kernels, its /proc directory. Neither can come to mean the
 * successor of what was pinned. A pidfd tells of the end at once; a /proc directory when the dead process is reaped.
 * Nothing here reads a caller's environ or maps (they can deadlock with exec).
 *
 * Numbers are those of the pid namespace that /proc was mounted in, which must be the daemon's own. Thread-safe after
 * caller_init().
 */
#ifndef SESSIONFS_CALLER_H
#define SESSIONFS_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "creds.h"
#include "lineage.h"

/*
 * Chooses pidfds or /proc, once, before any thread. force_proc is for the tests. 0 or -errno: without a /proc of its
 * own pid namespace a daemon can't know its callers.
 */
int caller_init(bool force_proc);

/* Whether pins are pidfds, which tell of the end at once. */
bool caller_has_pidfds(void);

/* Pins a thread by its tid, or a process by its tgid. The owned descriptor in *pin; -ESRCH when it is gone. */
int caller_pin_thread(pid_t tid, int *pin);
int caller_pin_process(pid_t tgid, int *pin);

/* Whether what was pinned still lives: 0.6 us with pidfds. A zombie leader of living threads lives. */
bool caller_alive(int pin);

/* The process of a thread, and that process's parent (0: outside the namespace). -ESRCH when it is gone. */
int caller_ids(pid_t tid, pid_t *tgid, pid_t *ppid);

/* The same for what is pinned under the number id; the answer is never that of a successor. */
int caller_pin_ids(int pin, pid_t id, pid_t *tgid, pid_t *ppid);

/* The thread's name, "" when unknown. For the audit alone: costs a few system calls. */
void caller_comm(pid_t tid, char comm[static 17]);

#endif
