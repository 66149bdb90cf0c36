/* SPDX-License-Identifier: MIT */
/*
 * The operations that make files larger or smaller, with what they add taken before and what they free given back after
 * (charge.h), and with the reserve of the store (room.h). Those of names are in naming.h.
 *
 * Each does what the plain system call does where nothing is limited, and then costs nothing. Otherwise it holds the
 * inode (inode.h) whose size or names change, shared for a write within the size, so that with any number of writers by
 * any route the sum is exact. Two locks are taken in this order: directories (of two, the lower address first), file.
 *
 * A session may come to be counted while files of it are open, by a token's limits: those files are not known here, and
 * count no longer than their names do.
 *
 * What counts is in limits.h. A file without a name that is open counts as one that has one. A write that fits in part is
 * written in part; where not a byte fits it is EDQUOT, or EFBIG for file_bytes: as kernels' quotas and RLIMIT_FSIZE do,
 * but for the signal. A mapped write is not seen here and need not be, since none makes a file larger.
 *
 * All act as the caller of the request (creds_become()), and leave the thread so.
 */
#ifndef SESSIONFS_GROWTH_H
#define SESSIONFS_GROWTH_H

#include "inode.h"
#include "request.h"

/* What df is told, from what the filesystem below said: the limits as its size, what is left as free. 0 or -errno. */
int growth_statfs(struct request *r, struct statvfs *st);

/* Sizes. r->file or r->fd is the file. Bytes written, 0, or -errno. */
ssize_t growth_write(struct request *r, const void *buf, size_t size, off_t off, bool append);
ssize_t growth_copy(struct request *r, struct file *to, off_t off_in, off_t off_out, size_t len, unsigned flags);
int growth_truncate(struct request *r, off_t size);
int growth_fallocate(struct request *r, int mode, off_t off, off_t len);

/* Opening. An owned descriptor and *ret, NULL where nothing is counted: growth_close() before the descriptor is closed. */
int growth_open(struct request *r, int flags, struct inode **ret);
int growth_create(struct request *r, const char *name, int flags, mode_t mode, struct inode **ret);
int growth_tmpfile(struct request *r, int flags, mode_t mode, struct inode **ret);
void growth_close(struct fs *fs, struct inode *i, int fd);

#endif
