/* SPDX-License-Identifier: MIT */
/* Directories. An open one keeps a descriptor; where a listing stands is in the kernel's offset, never here. */
#include "ops.h"

#include <dirent.h>
#include <fcntl.h>

#include "root.h"

void dir_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_opendir, ino, NULL))
		return;
	struct file want = {.fd = -1, .node = r.node, .binding = request_right(&r, r.node), .dir = true};
	int err = 0;
	if (r.node) {
		want.fd = backing_reopen(r.fd, O_RDONLY | O_DIRECTORY);
		err = want.fd < 0 ? want.fd : 0;
	}
	if (!err && (err = file_enter(r.fs->files, &want, &fi->fh)))
		close_fd(want.fd);
	if (err) {
		request_reply_err(&r, err);
		return;
	}
	if (fuse_reply_open(request_replying(&r), fi) < 0)
		file_close(r.fs->files, fi->fh);
}

void dir_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	file_close(request_unchecked(req, STATS_OP_releasedir)->files, fi->fh);
	fuse_reply_err(req, 0);
}

void dir_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_fsyncdir, ino, fi))
		return;
	request_reply_err(&r, r.node && (datasync ? fdatasync : fsync)(r.file->fd) < 0 ? -errno : 0);
}

/* ---- listing ---- */

/* A reply in the making. */
struct listing {
	struct request *r;
	char *buf;
	size_t size, used;
	bool plus;
};

/* Adds one name. False when it does not fit any more. */
static bool add(struct listing *l, const char *name, const struct fuse_entry_param *e, off_t next)
{
	size_t room = l->size - l->used;
	size_t n = l->plus ? fuse_add_direntry_plus(l->r->req, l->buf + l->used, room, name, e, next)
			   : fuse_add_direntry(l->r->req, l->buf + l->used, room, name, &e->attr, next);
	if (n > room)
		return false;
	l->used += n;
	return true;
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/*
 * READDIRPLUS makes a node of each name, as LOOKUP would. A name that the caller may list but not look up comes
 * without one (number 0), and so does one that has gone meanwhile.
 */
static void look_plus(struct listing *l, const char *name, struct fuse_entry_param *e)
{
	struct request *r = l->r;
	struct stat st;
	int fd;
	if (is_dot(name) || backing_look(&r->fs->backing, r->file->fd, name, &fd, &st))
		return;
	struct fuse_entry_param found;
	if (request_entry(r, r->node->session, r->node->route, r->node->id, fd, &st, false, &found) == 0)
		*e = found;
}

struct kernel_dirent {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

static bool add_entry(struct listing *l, const struct kernel_dirent *d)
{
	struct fuse_entry_param e = {.attr = {.st_ino = d->d_ino, .st_mode = DTTOIF(d->d_type)}};
	if (l->plus)
		look_plus(l, d->d_name, &e);
	if (add(l, d->d_name, &e, d->d_off))
		return true;
	if (e.ino)
		node_forget(l->r->fs->nodes, e.ino, 1);
	return false;
}

static int list_node(struct listing *l, off_t off)
{
	_Alignas(struct kernel_dirent) char room[32768];
	int fd = l->r->file->fd;
	if (lseek(fd, off, SEEK_SET) < 0)
		return -errno;
	ssize_t n;
	while ((n = getdents64(fd, room, sizeof(room))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct kernel_dirent *d = (const void *)(room + at);
			if (!add_entry(l, d))
				return 0;
			at += d->d_reclen;
		}
	return n < 0 && !l->used ? -errno : 0;
}

static void list_root(struct listing *l, off_t off)
{
	uint64_t ino;
	mode_t type;
	const char *name;
	for (off_t i = off; (name = root_entry(l->r, (size_t)i, &ino, &type)); i++) {
		struct fuse_entry_param e = {.attr = {.st_ino = ino, .st_mode = type}};
		if (*name && !add(l, name, &e, i + 1))
			break;
	}
}

static void list(fuse_req_t req, enum stats_op op, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, op, ino, fi))
		return;
	struct listing l = {
		.r = &r, .buf = io_buffer(), .size = size < IO_MAX ? size : IO_MAX, .plus = op == STATS_OP_readdirplus};
	int err = 0;
	if (r.node)
		err = list_node(&l, off);
	else
		list_root(&l, off);
	if (err)
		request_reply_err(&r, err);
	else
		request_reply_buf(&r, l.buf, l.used);
}

void dir_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, STATS_OP_readdir, ino, size, off, fi);
}

void dir_readplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, STATS_OP_readdirplus, ino, size, off, fi);
}
