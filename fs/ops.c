/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/statvfs.h>

#include "control.h"
#include "creds.h"
#include "growth.h"
#include "log.h"
#include "naming.h"
#include "root.h"

/* ---- start ---- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;
	const uint64_t want[] = {
		FUSE_CAP_ATOMIC_O_TRUNC,    FUSE_CAP_ASYNC_DIO,       FUSE_CAP_PARALLEL_DIROPS,
		FUSE_CAP_NO_EXPORT_SUPPORT, FUSE_CAP_AUTO_INVAL_DATA, FUSE_CAP_HANDLE_KILLPRIV_V2,
	};
	/*
	 * Each of these would let the kernel act for somebody whom the daemon was not asked about.
	 * DIRECT_IO_ALLOW_MMAP: what is stored through a shared map is written back by nobody (pid 0), which is
	 * refused; better no such map than one whose bytes are lost. Passthrough files are mapped from the backing
	 * file, and need none of this.
	 */
	const uint64_t never[] = {
		FUSE_CAP_WRITEBACK_CACHE,    FUSE_CAP_CACHE_SYMLINKS, FUSE_CAP_NO_OPEN_SUPPORT,
		FUSE_CAP_NO_OPENDIR_SUPPORT, FUSE_CAP_EXPORT_SUPPORT, FUSE_CAP_POSIX_ACL,
		FUSE_CAP_SPLICE_READ,        FUSE_CAP_IOCTL_DIR,      FUSE_CAP_DIRECT_IO_ALLOW_MMAP,
	};
	stats_op(STATS_OP_init);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		fuse_set_feature_flag(conn, want[i]);
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		fuse_unset_feature_flag(conn, never[i]);

	/* Where names are looked up at each use, the nodes that a listing makes ahead would be made in vain. */
	if (fs->config.cache == CACHE_SHARED)
		fuse_unset_feature_flag(conn, FUSE_CAP_READDIRPLUS);

	fs->passthrough = fs->privileged && fs->config.io == IO_GUARDED &&
			  fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH);
	if (fs->passthrough)
		conn->max_backing_stack_depth = 1;
	log_info("io: %s", fs->passthrough              ? "passthrough reads, checked writes"
			   : fs->config.io == IO_STRICT ? "strict, every read and write is checked"
			   : fs->privileged
				   ? "no passthrough (this kernel has none, before 6.9), reads through the page cache"
				   : "no passthrough (not root), reads through the page cache");
	conn->max_write = IO_MAX;
	conn->no_interrupt = 1; /* nothing here waits for another user, so nothing needs interrupting */
}

/* ---- names ---- */

/* An O_PATH fd of a name below the request's node, and its attributes. "." and ".." are the kernel's to resolve. */
static int look(struct request *r, const char *name, int *fd, struct stat *st)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	return backing_look(&r->fs->backing, r->fd, name, fd, st);
}

/* The entry of a name that was found or has just been made below the request's node. */
static int entry(struct request *r, const char *name, struct fuse_entry_param *e)
{
	int fd;
	struct stat st;
	int err = look(r, name, &fd, &st);
	return err ? err : request_entry(r, r->node->session, r->node->route, r->node->id, fd, &st, true, e);
}

/* After a name was made, or was not. */
static void reply_made(struct request *r, const char *name, int err)
{
	struct fuse_entry_param e;
	if (!err)
		err = entry(r, name, &e);
	if (err)
		request_reply_err(r, err);
	else
		request_reply_entry(r, &e);
}

/*
 * A lookup that the gate refused. The kernel sends one for a name that it knows only where it must (mkdir, O_EXCL,
 * link and rename onto it; with cache = shared at every use), and an errno would take the name from its owner, with his cwd and the mounts below. So a
 * name whose node is live is given, the name alone: each use of the node is refused in its turn. But not of fifos,
 * sockets and devices, whose use the kernel asks nobody about.
 */
static int let_through(struct request *r, const char *name, struct fuse_entry_param *e)
{
	int dir;
	if (r->fs->config.names == NAMES_HIDDEN || !r->node || node_pin(r->fs->nodes, r->node, &dir))
		return -ENOENT;

	_cleanup_close_ int fd = -1;
	struct stat st;
	struct backing_key key;
	creds_restore();
	int err = backing_look(&r->fs->backing, dir, name, &fd, &st);
	node_unpin(r->fs->nodes, r->node);
	if (!err && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		err = -EACCES;
	if (!err)
		err = backing_key(&r->fs->backing, fd, &st, &key);
	struct node *n = err ? NULL : node_find(r->fs->nodes, r->node->session, r->node->route, &key, true);
	if (!n)
		return -ENOENT;
	request_known_entry(r, n, &st, e);
	node_put(r->fs->nodes, n);
	return 0;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	_cleanup_request_ struct request r;
	struct fuse_entry_param e;
	int err = request_check(&r, req, STATS_OP_lookup, parent, NULL);
	if (!err && !r.node) {
		(parent == NODE_ROOT ? root_lookup : control_lookup)(&r, name);
		return;
	}
	bool refused = err != 0;
	if (!err)
		err = entry(&r, name, &e);
	if (err && (refused || err == -EACCES) && let_through(&r, name, &e) == 0)
		err = 0;
	if (err)
		request_reply_err(&r, err);
	else
		request_reply_entry(&r, &e);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	node_forget(request_unchecked(req, STATS_OP_forget)->nodes, ino, nlookup);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_forget(request_unchecked(req, STATS_OP_forget)->nodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_mkdir, parent, NULL))
		return;
	if (!r.node) {
		root_mkdir(&r, name, mode);
		return;
	}
	struct naming n;
	int err = naming_begin(&r, &n);
	if (!err)
		err = naming_end(&n, mkdirat(r.fd, name, mode) < 0 ? -errno : 0);
	reply_made(&r, name, err);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_mknod, parent, NULL))
		return;
	if (!S_ISREG(mode) && !r.fs->config.special) {
		request_reply_err(&r, request_refused(&r, -EPERM, REASON_special_file, NULL));
		return;
	}
	struct naming n;
	int err = naming_begin(&r, &n);
	if (!err)
		err = naming_end(&n, mknodat(r.fd, name, mode, rdev) < 0 ? -errno : 0);
	reply_made(&r, name, err);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_symlink, parent, NULL))
		return;
	if (!r.fs->config.symlinks) {
		request_reply_err(&r, request_refused(&r, -EPERM, REASON_symlink, NULL));
		return;
	}
	struct naming n;
	int err = naming_begin(&r, &n);
	if (!err)
		err = naming_end(&n, symlinkat(target, r.fd, name) < 0 ? -errno : 0);
	reply_made(&r, name, err);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	_cleanup_request_ struct request r;
	char target[PATH_MAX];
	if (!request_begin(&r, req, STATS_OP_readlink, ino, NULL))
		return;
	if (!r.node) {
		control_readlink(&r);
		return;
	}
	if (!r.fs->config.symlinks) { /* one that was there before it was forbidden */
		request_reply_err(&r, request_refused(&r, -EPERM, REASON_symlink, NULL));
		return;
	}
	ssize_t n = readlinkat(r.fd, "", target, sizeof(target) - 1);
	if (n < 0) {
		request_reply_err(&r, -errno);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(request_replying(&r), target);
}

/* What a handle's route changed, the route of <sid> is told; handles' names are never cached for long (request.c). */
static void tell_others(struct request *r, const struct node *dir, const char *name)
{
	if (!dir->route)
		return;
	struct node *same = node_find(r->fs->nodes, dir->session, 0, &dir->key, false);
	if (same)
		invalidate_name(r->fs->inval, same->id, name);
	node_put(r->fs->nodes, same);
}

static void remove_name(fuse_req_t req, enum stats_op op, fuse_ino_t parent, const char *name, int flags)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, op, parent, NULL))
		return;
	if (!r.node && op == STATS_OP_rmdir) {
		root_rmdir(&r, name);
		return;
	}
	if (!r.node) {
		request_reply_err(&r, root_refusal(&r, name));
		return;
	}
	int err = naming_remove(&r, name, flags);
	if (!err)
		tell_others(&r, r.node, name);
	request_reply_err(&r, err);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, STATS_OP_unlink, parent, name, 0);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, STATS_OP_rmdir, parent, name, AT_REMOVEDIR);
}

/* A moved directory has new ancestors, whose search permission counts from now on. */
static void note_move(struct request *r, int dirfd, const char *name, const struct node *parent)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	struct backing_key key;
	if (backing_look(&r->fs->backing, dirfd, name, &fd, &st) || backing_key(&r->fs->backing, fd, &st, &key))
		return;
	struct node *n = node_find(r->fs->nodes, parent->session, parent->route, &key, false);
	if (n)
		node_moved(r->fs->nodes, n, parent->id);
	node_put(r->fs->nodes, n);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
		      unsigned flags)
{
	_cleanup_request_ struct request r;
	if (!request_begin2(&r, req, STATS_OP_rename, parent, NULL, newparent, NULL, NULL))
		return;
	if (!r.node || !r.node2) {
		request_reply_err(&r, root_refusal(&r, r.node ? newname : name));
		return;
	}
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
		request_reply_err(&r, -EINVAL); /* a whiteout is a device file */
		return;
	}
	int err = naming_rename(&r, name, newname, flags);
	if (err) {
		request_reply_err(&r, err);
		return;
	}
	if (parent != newparent) {
		note_move(&r, r.fd2, newname, r.node2);
		if (flags & RENAME_EXCHANGE)
			note_move(&r, r.fd, name, r.node);
	}
	tell_others(&r, r.node, name);
	tell_others(&r, r.node2, newname);
	request_reply_err(&r, 0);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
	_cleanup_request_ struct request r;
	if (!request_begin2(&r, req, STATS_OP_link, ino, NULL, newparent, NULL, NULL))
		return;
	struct stat st;
	struct fuse_entry_param e;
	int err = naming_link(&r, newname);
	if (!err)
		err = backing_stat(r.fd, &st);
	int fd = err ? -1 : backing_path_fd(r.fd);
	if (!err)
		err = fd < 0 ? fd : request_entry(&r, r.node->session, r.node->route, r.node2->id, fd, &st, true, &e);
	if (err)
		request_reply_err(&r, err);
	else
		request_reply_entry(&r, &e);
}

/* ---- attributes ---- */

/* The open file of an ftruncate(), or the node's O_PATH fd. */
static int attr_fd(const struct request *r)
{
	return r->file ? r->file->fd : r->fd;
}

static void reply_attr(struct request *r)
{
	struct stat st;
	int err = backing_stat(attr_fd(r), &st);
	if (err) {
		request_reply_err(r, err);
		return;
	}
	node_note(r->fs->nodes, r->node, &st);
	request_reply_attr(r, &st);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	(void)fi; /* 6.18 sends none: an fstat() looks like a stat() */
	if (!request_begin(&r, req, STATS_OP_getattr, ino, NULL))
		return;
	if (r.node) {
		reply_attr(&r);
		return;
	}
	struct stat st;
	control_stat(r.fs, ino, &st);
	request_reply_attr(&r, &st);
}

/* One of utimensat(2)'s two: this moment, a given one, or left as it is. */
static struct timespec set_time(const struct timespec *value, bool set, bool now)
{
	struct timespec ts = {.tv_nsec = now ? UTIME_NOW : UTIME_OMIT};
	return set && !now ? *value : ts;
}

static int set_attr(struct request *r, const struct stat *attr, int to_set)
{
	int fd = attr_fd(r), err = 0;
	if (to_set & FUSE_SET_ATTR_MODE)
		err = backing_chmod(fd, attr->st_mode & 07777);
	if (!err && to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		err = backing_chown(fd, to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1,
				    to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1);
	if (!err && to_set & FUSE_SET_ATTR_SIZE)
		err = growth_truncate(r, attr->st_size);
	if (!err && to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)) {
		struct timespec times[2] = {
			set_time(&attr->st_atim, to_set & FUSE_SET_ATTR_ATIME, to_set & FUSE_SET_ATTR_ATIME_NOW),
			set_time(&attr->st_mtim, to_set & FUSE_SET_ATTR_MTIME, to_set & FUSE_SET_ATTR_MTIME_NOW),
		};
		err = backing_utimens(fd, times);
	}
	return err;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_setattr, ino, fi))
		return;
	if (!r.node) {
		control_setattr(&r, to_set);
		return;
	}
	int err = set_attr(&r, attr, to_set);
	if (err)
		request_reply_err(&r, err);
	else
		reply_attr(&r);
}

static void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	_cleanup_request_ struct request r;
	if (!request_begin(&r, req, STATS_OP_access, ino, NULL))
		return;
	if (!r.node)
		control_access(&r, mask);
	else
		request_reply_err(&r, backing_access(r.fd, mask));
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	_cleanup_request_ struct request r;
	struct statvfs st;
	if (!request_begin(&r, req, STATS_OP_statfs, ino, NULL))
		return;
	int err = fstatvfs(r.node ? r.fd : store_fd(r.fs->store), &st) < 0 ? -errno : growth_statfs(&r, &st);
	if (err) {
		request_reply_err(&r, err);
		return;
	}
	fuse_reply_statfs(request_replying(&r), &st);
}

/*
 * No xattr, ioctl, lock, poll or bmap handlers: the kernel answers ENOTSUP and ENOTTY by itself after the first,
 * keeps locks locally, and asks for no security.capability on each write.
 */
const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.access = op_access,
	.readlink = op_readlink,
	.statfs = op_statfs,

	.mkdir = op_mkdir,
	.rmdir = op_rmdir,
	.unlink = op_unlink,
	.rename = op_rename,
	.link = op_link,
	.symlink = op_symlink,
	.mknod = op_mknod,

	.open = io_open,
	.create = io_create,
	.tmpfile = io_tmpfile,
	.read = io_read,
	.write = io_write,
	.flush = io_flush,
	.fsync = io_fsync,
	.fallocate = io_fallocate,
	.lseek = io_lseek,
	.copy_file_range = io_copy_file_range,
	.release = io_release,

	.opendir = dir_open,
	.readdir = dir_read,
	.readdirplus = dir_readplus,
	.fsyncdir = dir_fsync,
	.releasedir = dir_release,
};
