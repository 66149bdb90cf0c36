/* SPDX-License-Identifier: MIT */
/*
 * The FUSE operations: names and attributes (ops.c), open files (io.c), directories (dir.c).
 *
 * Each is one screen: request_begin(), one call below, one reply. What an operation needs is in the table of
 * request.c, so that none can be added without saying it.
 */
#ifndef SESSIONFS_OPS_H
#define SESSIONFS_OPS_H

#include "request.h"

extern const struct fuse_lowlevel_ops ops;

void io_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void io_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void io_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi);
void io_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void io_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi);
void io_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void io_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void io_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi);
void io_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void io_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in, fuse_ino_t out,
			off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags);
void io_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

void dir_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void dir_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void dir_readplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void dir_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void dir_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* One buffer for each thread of the loop, as large as the largest reply: data is never allocated for. */
#define IO_MAX (1024 * 1024)
void io_set_buffer(void *buf); /* borrowed for the life of the thread */
void *io_buffer(void);

#endif
