/* SPDX-License-Identifier: MIT */
/* Open files. Whether one may still be used is asked at each operation on it, by request_begin(). */
#include "ops.h"

#include <fcntl.h>

#include "control.h"
#include "growth.h"
#include "passthrough.h"

static _Thread_local void *buffer; /* of IO_MAX bytes, the loop's */

void io_set_buffer(void *mine)
{
	buffer = mine;
}

void *io_buffer(void)
{
	return buffer;
}

/* ---- opening ---- */

/*
 * What of open(2)'s flags the backing file is opened with. Not O_APPEND: each write says itself whether it appends,
 * since fcntl(2) may change that later. Not O_DIRECT: our buffers are not the caller's.
 */
static int backing_flags(int flags)
{
	return flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME | O_LARGEFILE);
}

/*
 * How the kernel is to treat the file. Guarded: reads of an O_RDONLY file go straight to the backing file, all else
 * comes here (DIRECT_IO). Strict: everything comes here. Without passthrough, O_RDONLY files are read through the
 * page cache, which a read of the attributes validates.
 */
static int enter(struct request *r, struct node *n, int fd /* consumed */, struct inode *inode /* consumed */,
		 struct fuse_file_info *fi)
{
	struct file want = {.node = n, .binding = request_right(r, n), .fd = fd, .inode = inode};
	bool writer = (fi->flags & O_ACCMODE) != O_RDONLY;
	int err = file_enter(r->fs->files, &want, &fi->fh);
	if (err) {
		growth_close(r->fs, inode, fd);
		close_fd(fd);
		return err;
	}
	fi->backing_id = passthrough_get(r->fs->nodes, r->req, n, r->uid, fd, &r->fs->passthrough);
	fi->direct_io = writer || r->fs->config.io == IO_STRICT;
	fi->parallel_direct_writes = fi->direct_io;
	fi->noflush = !writer || r->fs->config.cache == CACHE_PRIVATE;
	return 0;
}

static void leave(struct fs *fs, fuse_req_t req, uint64_t fh)
{
	struct file *f = file_get(fs->files, fh);
	if (f && f->node && !f->dir)
		passthrough_put(fs->nodes, req, f->node);
	if (f)
		growth_close(fs, f->inode, f->fd);
	file_put(fs->files, f);
	file_close(fs->files, fh);
}

void io_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_open, ino, NULL))
		return;
	if (!r.node) {
		control_open(&r, fi);
		return;
	}
	if (!S_ISREG(r.node->type)) {
		request_reply_err(&r, request_refused(&r, -EPERM, REASON_special_file, NULL));
		return;
	}
	struct inode *inode;
	int fd = growth_open(&r, backing_flags(fi->flags), &inode);
	int err = fd < 0 ? fd : enter(&r, r.node, fd, inode, fi);
	if (err) {
		request_reply_err(&r, err);
		return;
	}
	if (fuse_reply_open(request_replying(&r), fi) < 0)
		leave(r.fs, req, fi->fh);
}

/* A file that has just been opened below r->node: its entry, its number, its reply. */
static void reply_create(struct request *r, int fd /* consumed */, struct inode *inode /* consumed */,
			 struct fuse_file_info *fi)
{
	struct stat st;
	struct fuse_entry_param e;
	int path = -1, err = backing_stat(fd, &st);
	if (!err && !S_ISREG(st.st_mode))
		err = -EPERM;
	if (!err)
		err = (path = backing_path_fd(fd)) < 0 ? path : 0;
	if (!err)
		err = request_entry(r, r->node->session, r->node->route, r->node->id, path, &st, true, &e);
	if (err) {
		growth_close(r->fs, inode, fd);
		close_fd(fd);
		request_reply_err(r, err);
		return;
	}

	struct node *n = node_get(r->fs->nodes, e.ino);
	err = enter(r, n, fd, inode, fi);
	node_put(r->fs->nodes, n);
	if (err) {
		node_forget(r->fs->nodes, e.ino, 1);
		request_reply_err(r, err);
		return;
	}
	if (fuse_reply_create(request_replying(r), &e, fi) < 0) {
		leave(r->fs, r->req, fi->fh);
		node_forget(r->fs->nodes, e.ino, 1);
	}
}

void io_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_create, parent, NULL))
		return;
	/* O_NONBLOCK: should another route have put a fifo there meanwhile, the open must not wait for its reader. */
	int flags = backing_flags(fi->flags) | (fi->flags & O_EXCL) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct inode *inode;
	int fd = growth_create(&r, name, flags, mode, &inode);
	if (fd < 0)
		request_reply_err(&r, fd);
	else
		reply_create(&r, fd, inode, fi);
}

void io_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_tmpfile, parent, NULL))
		return;
	struct inode *inode;
	int fd = growth_tmpfile(&r, backing_flags(fi->flags) | (fi->flags & O_EXCL) | O_CLOEXEC, mode, &inode);
	if (fd < 0)
		request_reply_err(&r, fd);
	else
		reply_create(&r, fd, inode, fi);
}

void io_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	struct fs *fs = request_unchecked(req, STATS_OP_release);
	leave(fs, req, fi->fh);
	fuse_reply_err(req, 0);
}

/* ---- using ---- */

void io_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_read, ino, fi))
		return;
	if (!r.node) {
		control_read(&r, size, off);
		return;
	}
	void *buf = io_buffer();
	ssize_t n = pread(r.file->fd, buf, size < IO_MAX ? size : IO_MAX, off);
	if (n < 0) {
		request_reply_err(&r, -errno);
		return;
	}
	stats_add(STATS_read_bytes, n);
	request_reply_buf(&r, buf, (size_t)n);
}

void io_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_write, ino, fi))
		return;
	if (!r.node) {
		control_write(&r, buf, size);
		return;
	}
	ssize_t n = growth_write(&r, buf, size, off, fi->flags & O_APPEND);
	if (n < 0) {
		request_reply_err(&r, (int)n);
		return;
	}
	stats_add(STATS_written, n);
	fuse_reply_write(request_replying(&r), (size_t)n);
}

/*
 * Only asked for writers with cache = shared: what was written must be where the next open on another instance finds it
 * before close(2) returns, and a network filesystem sends what it holds back, and tells of a full disk, when a descriptor
 * closes: ours does so only at RELEASE, of which nobody waits for the end. Needs nobody's permission, as RELEASE doesn't:
 * nothing is given, and what was acknowledged must not be lost because it was a helper thread that closed.
 */
static void flush_file(fuse_req_t req, fuse_ino_t ino, uint64_t fh)
{
	struct fs *fs = request_unchecked(req, STATS_OP_flush);
	struct file *f = file_get(fs->files, fh);
	int err = 0;
	if (!f || !f->node || f->node->id != ino) {
		err = EBADF;
	} else {
		int copy = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
		if (copy < 0 || close(copy) < 0)
			err = errno;
	}
	file_put(fs->files, f);
	fuse_reply_err(req, err);
}

void io_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	/*
	 * A control file's close by its opener unbinds; it must work whatever became of the binding, and so must any
	 * close.
	 */
	if (ino >= NODE_FIRST) {
		flush_file(req, ino, fi->fh);
		return;
	}
	_cleanup_request_ struct request r;
	if (request_begin(&r, req, STATS_OP_flush, ino, fi))
		control_flush(&r);
}

void io_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_fsync, ino, fi))
		return;
	request_reply_err(&r, (datasync ? fdatasync : fsync)(r.file->fd) < 0 ? -errno : 0);
}

void io_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_fallocate, ino, fi))
		return;
	request_reply_err(&r, growth_fallocate(&r, mode, off, len));
}

void io_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_lseek, ino, fi))
		return;
	off_t at = whence == SEEK_DATA || whence == SEEK_HOLE ? lseek(r.file->fd, off, whence) : (errno = EINVAL, -1);
	if (at < 0) {
		request_reply_err(&r, -errno);
		return;
	}
	fuse_reply_lseek(request_replying(&r), at);
}

#define COPY_MAX ((size_t)16 << 20) /* a short copy is the caller's to go on with; a long one would keep a thread */

void io_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in, fuse_ino_t out,
			off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags)
{
	_cleanup_request_ struct request r;
	struct file *to = NULL;
	if (!request_begin2(&r, req, STATS_OP_copy_file_range, in, fi_in, out, fi_out, &to))
		return;
	ssize_t n = growth_copy(&r, to, off_in, off_out, len < COPY_MAX ? len : COPY_MAX, (unsigned)flags);
	file_put(r.fs->files, to);
	if (n < 0) {
		request_reply_err(&r, (int)n);
		return;
	}
	stats_add(STATS_written, n);
	fuse_reply_write(request_replying(&r), (size_t)n);
}
