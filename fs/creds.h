/* SPDX-License-Identifier: MIT */
/*
 * Taking on a caller's identity for a backing system call: fsuid, fsgid and supplementary groups of the calling
 * thread alone, by raw system calls (glibc's setgroups() would change every thread).
 *
 * While switched to a user other than root the thread has no file capabilities (CAP_DAC_OVERRIDE,
 * CAP_DAC_READ_SEARCH, CAP_CHOWN, CAP_FOWNER, …): the kernel takes them out of the effective set as fsuid leaves 0
 * and gives them back as it returns. The others stay. So what needs the daemon's own rights, the store and
 * open_by_handle_at() among it, comes after creds_restore().
 *
 * What is in force is kept per thread; a thread that never called creds_become() has the daemon's identity.
 */
#ifndef SESSIONFS_CREDS_H
#define SESSIONFS_CREDS_H

#include <stdbool.h>
#include <sys/types.h>

#define GROUPS_MAX 65536 /* the kernel's NGROUPS_MAX */

/*
 * Once, before any thread, with the capabilities that the daemon will keep: CAP_SETUID, CAP_SETGID and the file
 * capabilities. -EPERM where switching would not work, or would not restrict (not root, or securebits that keep the
 * capabilities). With enabled = false (an unprivileged daemon) nothing is ever switched.
 */
int creds_init(bool enabled);

/*
 * Switches the calling thread to the identity of the caller tid, as the kernel gave uid and gid with the request.
 * Does nothing where it is in force already. Groups are read from /proc/<tid>/status at most once a second for each
 * (tid, uid, gid), and not at all for uid 0 (which needs none). 0; -ESRCH when the thread is gone, -errno: the
 * daemon's own identity is then in force. Not enabled: -EACCES for another uid than the daemon's.
 */
int creds_become(pid_t tid, uid_t uid, gid_t gid);

/* Back to the daemon's own identity, with all of its capabilities. Never fails (aborts where it would). */
void creds_restore(void);

/* Whether the identity in force has gid among its supplementary groups. No system call. */
bool creds_in_group(gid_t gid);

#endif
