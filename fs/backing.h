/* SPDX-License-Identifier: MIT */
/*
 * The files below: naming one file for good, opening it again, and the few system calls on it that need a trick.
 *
 * A file's name for good is its key. Where the store's filesystem has file handles and the daemon may open them
 * (CAP_DAC_READ_SEARCH), the key is the handle, and no descriptor is needed to remember a file. Elsewhere it is
 * device and inode, which hold only as long as a descriptor is open: `bytes == 0` says so.
 *
 * Functions that act for a caller run under whatever identity the calling thread has (creds_become); the permission
 * checks are the kernel's. O_PATH descriptors are reached again through /proc/self/fd, which every thread of the
 * daemon may follow whatever its fsuid. Nothing here follows a symbolic link that a user made. Stateless but for
 * struct backing, which never changes; thread-safe.
 */
#ifndef SESSIONFS_BACKING_H
#define SESSIONFS_BACKING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define BACKING_HANDLE_MAX 44 /* ext4 8, xfs 12, btrfs 40; a longer one counts as none */

struct backing_key {
	uint64_t dev, ino;
	int32_t type;
	uint32_t bytes; /* of data; 0: no handles here, the file stays named only while a descriptor is open */
	unsigned char data[BACKING_HANDLE_MAX];
};

struct backing {
	int root; /* owned O_DIRECTORY descriptor in the store's filesystem, for open_by_handle_at */
	uint64_t dev;
	bool handles;
};

/* Tries what the filesystem of STORE can do. dirfd is borrowed. 0 or -errno. */
int backing_init(struct backing *b, int dirfd);
void backing_fini(struct backing *b);

/* One component below dirfd, not followed. An owned O_PATH fd and its attributes. -EXDEV on another filesystem. */
int backing_look(const struct backing *b, int dirfd, const char *name, int *fd, struct stat *st);

/* The key of an open file, whose attributes are st. 0 or -errno. */
int backing_key(const struct backing *b, int fd, const struct stat *st, struct backing_key *key);
bool backing_key_equal(const struct backing_key *a, const struct backing_key *b);

/*
 * An owned O_PATH fd for a key with bytes > 0. Leaves the thread with the daemon's own identity, so descriptors are
 * got before a caller's is taken on. -ESTALE when the file is gone.
 */
int backing_open_key(const struct backing *b, const struct backing_key *key, int *fd);

/*
 * Opens what an O_PATH fd stands for with flags, with the checks that open(2) makes. Owned fd or -errno; -ESTALE, as from
 * the calls below, when another host has removed the file.
 */
int backing_reopen(int fd, int flags);

/* An owned O_PATH fd for the file of any open fd. */
int backing_path_fd(int fd);

int backing_stat(int fd, struct stat *st);
int backing_chmod(int fd, mode_t mode);
int backing_chown(int fd, uid_t uid, gid_t gid);
int backing_utimens(int fd, const struct timespec times[2]);
int backing_truncate(int fd, off_t size);
int backing_access(int fd, int mask);
int backing_link(int fd, int dirfd, const char *name);

#endif
