/* SPDX-License-Identifier: MIT */
/*
 * Where the control files of a mount are.
 *
 * Refuses to look for them anywhere but in the root of a FUSE filesystem: a directory inside somebody's session may be
 * called .sessionfs too, and its "process" would be given the token; bind-mounted, such a session has a root as well.
 */
#ifndef SESSIONFS_MOUNT_H
#define SESSIONFS_MOUNT_H

#include <stddef.h>
#include <stdint.h>

struct mount {
	char *path;  /* of its root, absolute; owned */
	int control; /* its .sessionfs, O_PATH and close-on-exec; owned */
};

/*
 * Finds the mount that path is or leads into (a symbolic link to MOUNT/self, a directory of a session). 0; -ENOTTY where
 * no sessionfs is mounted, -ENOTCONN where its daemon is gone, -EPROTO where it speaks another protocol, else -errno.
 */
int mount_open(const char *path, struct mount *ret);
void mount_close(struct mount *m);

/*
 * Opens it anew if another has taken its place, and tells the id of what is there now. The descriptor's number stays, so
 * that threads may do this at once. Asks the kernel alone. 0 or -errno as mount_open().
 */
int mount_follow(const struct mount *m, uint64_t *id);

/* Opens a control file of it with the flags of open(2), which decide on close-on-exec. 0 or -errno. */
int mount_control(const struct mount *m, const char *file, int flags, int *ret);

/* The kernel's id of the mount that fd is in, which is not used again while fd is open. 0 or -errno. */
int mount_id(int fd, uint64_t *ret);

/* What a control file that was just opened or written says: an owned text with a NUL behind it. 0 or -errno. */
int mount_read(int control, char **ret, size_t *len);

/* What an -errno of the client library means to whoever runs a program: static text, never NULL. */
const char *mount_strerror(int error);

#endif
