/* SPDX-License-Identifier: MIT */
#include "growth.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/uio.h>

#include "creds.h"

#define NAME_ROOM 4096 /* what a new name is taken to need of the store */

/* ---- what is asked ---- */

static const struct binding *through(const struct request *r)
{
	return r->binding ? r->binding : r->via;
}

struct account *growth_account(const struct request *r)
{
	const struct binding *b = through(r);
	return b ? atomic_load_explicit(&b->session->account, memory_order_acquire) : NULL;
}

const struct limits *growth_limits(const struct request *r)
{
	return &through(r)->limits;
}

/* quota_take(), which goes to the store as the daemon where it must. */
static int64_t take(struct request *r, int64_t bytes, int64_t least, int64_t files)
{
	struct account *a = growth_account(r);
	if (quota_take_granted(a, growth_limits(r), bytes, files))
		return bytes;
	creds_restore();
	int64_t taken = quota_take(a, growth_limits(r), bytes, least, files);
	int err = creds_become(r->tid, r->uid, r->gid);
	if (err && taken >= 0)
		quota_settle(a, taken, files, 0, 0);
	return err ? err : taken;
}

static int take_room(struct request *r, int64_t bytes)
{
	int64_t left = room_take(&r->fs->room, bytes, bytes);
	return left < 0 ? (int)left : 0;
}

static int too_large(void)
{
	stats_add(STATS_quota_file_bytes, 1);
	return -EFBIG;
}

/* ---- inodes ---- */

/* The inode of an open file, or of one that was opened before its session was counted. */
static struct inode *inode_of_file(struct request *r, const struct file *f)
{
	return inode_get(r->fs->inodes, f->node->key.dev, f->node->key.ino);
}

static struct inode *inode_of_node(struct request *r, const struct node *n)
{
	return inode_get(r->fs->inodes, n->key.dev, n->key.ino);
}

static void lock(struct inode *i)
{
	pthread_rwlock_wrlock(&i->lock);
}

static void unlock_put(struct fs *fs, struct inode *i)
{
	pthread_rwlock_unlock(&i->lock);
	inode_put(fs->inodes, i);
}

/* One more open file; locked. The first one's account: the number may have been another file's, in another session. */
static void opened(struct inode *i, struct account *a)
{
	if (i->opens++ > 0 || i->account == a)
		return;
	quota_put(i->account);
	quota_ref(a);
	i->account = a;
}

/* How often a byte of it counts. */
static int64_t weight(const struct stat *st)
{
	return st->st_nlink ? (int64_t)st->st_nlink : 1;
}

/*
 * A file that we have open and another instance removed: it gave back what the name was worth, and from here on it is
 * ours to count.
 */
static void adopt(struct account *a, struct inode *i, const struct stat *st)
{
	if (st->st_nlink || i->orphan || !i->opens)
		return;
	i->orphan = true;
	quota_settle(a, 0, 0, st->st_size, 1);
	quota_hold(a, st->st_size, 1);
}

/*
 * Without a name, and open nowhere here: it was given back with its last name, and the kernel has not heard yet. What
 * becomes of its size changes nothing.
 */
static bool is_dead(const struct inode *i, const struct stat *st)
{
	return !st->st_nlink && !i->orphan && !i->opens;
}

/* ---- growing ---- */

/* What a change of size takes: settled by size_changed(). */
struct change {
	struct account *account;
	struct inode *inode;
	int64_t old, weight, taken;
};

static void begin(struct change *c, struct account *a, struct inode *i, const struct stat *st)
{
	*c = (struct change){.account = a, .inode = i, .old = st->st_size, .weight = weight(st)};
	adopt(a, i, st);
}

/*
 * Takes what the file grows by up to `end`, or up to less, but to more than `must` bytes. The new end, or -errno.
 */
static int64_t grow_to(struct request *r, struct change *c, int64_t end, int64_t must)
{
	int64_t most = growth_limits(r)->file_bytes;
	if (end <= c->old)
		return end;
	if (end > most)
		end = most > c->old ? most : c->old;
	if (end <= must || end > LIMIT_MAX / c->weight)
		return too_large();
	if (end <= c->old)
		return end;
	int64_t least = must >= c->old ? (must + 1 - c->old) * c->weight : 0;
	c->taken = take(r, (end - c->old) * c->weight, least, 0);
	if (c->taken < 0)
		return c->taken;
	return c->old + c->taken / c->weight;
}

/* The end of the file that must be reached, whole or not at all. 0 or -errno. */
static int grow_whole(struct request *r, struct change *c, int64_t end)
{
	if (end <= c->old)
		return 0;
	int64_t got = grow_to(r, c, end, end - 1);
	return got < 0 ? (int)got : 0;
}

/* After it: the size is this now. */
static void size_changed(struct change *c, int64_t size)
{
	int64_t more = (size - c->old) * c->weight;
	if (c->taken || more)
		quota_settle(c->account, c->taken, 0, more, 0);
	if (c->inode->orphan)
		quota_hold(c->account, more, 0);
}

/* ---- writing ---- */

static ssize_t plain_write(struct request *r, const void *buf, size_t size, off_t off, bool append)
{
	/* The kernel's idea of the end is stale when two routes append: RWF_APPEND asks the backing file. */
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = size};
	ssize_t n = pwritev2(r->file->fd, &iov, 1, off, append ? RWF_APPEND : 0);
	return n < 0 ? -errno : n;
}

static int64_t end_of(off_t off, size_t size)
{
	int64_t end;
	return __builtin_add_overflow(off, (int64_t)size, &end) ? INT64_MAX : end;
}

/* Within the size: many may write so at once. False where it is not. */
static bool write_within(struct request *r, struct inode *i, const void *buf, size_t size, off_t off, ssize_t *ret)
{
	struct stat st;
	pthread_rwlock_rdlock(&i->lock);
	bool within = fstat(r->file->fd, &st) == 0 && end_of(off, size) <= st.st_size;
	if (within)
		*ret = plain_write(r, buf, size, off, false);
	pthread_rwlock_unlock(&i->lock);
	return within;
}

static ssize_t write_beyond(struct request *r, struct account *a, struct inode *i, const void *buf, size_t size,
			    off_t off, bool append)
{
	struct stat st;
	struct change c;
	if (fstat(r->file->fd, &st) < 0)
		return -errno;
	if (append)
		off = st.st_size;
	begin(&c, a, i, &st);
	int64_t end = grow_to(r, &c, end_of(off, size), off);
	if (end < 0)
		return (ssize_t)end;
	ssize_t n = plain_write(r, buf, (size_t)(end - off), off, append);
	size_changed(&c, n > 0 && off + n > c.old ? off + n : c.old);
	return n;
}

ssize_t growth_write(struct request *r, const void *buf, size_t size, off_t off, bool append)
{
	int64_t room = room_take(&r->fs->room, (int64_t)size, size > 0);
	struct account *a = growth_account(r);
	if (room < 0)
		return room;
	size = (size_t)room;
	if (!a || size == 0)
		return plain_write(r, buf, size, off, append);

	ssize_t n;
	struct inode *i = inode_of_file(r, r->file);
	if (!i)
		return -ENOMEM;
	if (append || !write_within(r, i, buf, size, off, &n)) {
		lock(i);
		n = write_beyond(r, a, i, buf, size, off, append);
		pthread_rwlock_unlock(&i->lock);
	}
	inode_put(r->fs->inodes, i);
	return n;
}

static ssize_t plain_copy(struct request *r, struct file *to, off_t off_in, off_t off_out, size_t len, unsigned flags)
{
	ssize_t n = copy_file_range(r->file->fd, &off_in, to->fd, &off_out, len, flags);
	return n < 0 ? -errno : n;
}

ssize_t growth_copy(struct request *r, struct file *to, off_t off_in, off_t off_out, size_t len, unsigned flags)
{
	struct stat st, from;
	struct change c;
	int64_t room = room_take(&r->fs->room, (int64_t)len, len > 0);
	struct account *a = growth_account(r);
	if (room < 0)
		return room;
	len = (size_t)room;
	if (!a || len == 0)
		return plain_copy(r, to, off_in, off_out, len, flags);
	struct inode *i = inode_of_file(r, to);
	if (!i)
		return -ENOMEM;

	lock(i);
	ssize_t n = fstat(to->fd, &st) < 0 || fstat(r->file->fd, &from) < 0 ? -errno : 0;
	/* What is beyond the end of the source is not copied, and need not be taken. */
	if (n == 0 && off_in >= 0 && (int64_t)len > from.st_size - off_in)
		len = off_in < from.st_size ? (size_t)(from.st_size - off_in) : 0;
	if (n == 0 && len > 0) {
		begin(&c, a, i, &st);
		int64_t end = grow_to(r, &c, end_of(off_out, len), off_out);
		n = end < 0 ? (ssize_t)end : plain_copy(r, to, off_in, off_out, (size_t)(end - off_out), flags);
		if (end >= 0)
			size_changed(&c, n > 0 && off_out + n > c.old ? off_out + n : c.old);
	}
	unlock_put(r->fs, i);
	return n;
}

/* ---- other changes of size ---- */

static int plain_truncate(struct request *r, off_t size)
{
	return !r->file ? backing_truncate(r->fd, size) : ftruncate(r->file->fd, size) < 0 ? -errno : 0;
}

/* Down, by a call that has yet to be made. Settled by shrunk_to(). */
static void shrink_to(struct change *c, int64_t size)
{
	c->taken = (c->old - size) * c->weight;
	quota_expect(c->account, c->taken, 0);
}

/* After shrink_to(): whether it came about. */
static void shrunk_to(struct change *c, int64_t size, bool done)
{
	quota_settle(c->account, c->taken, 0, done ? 0 : c->taken, 0);
	if (done && c->inode->orphan)
		quota_hold(c->account, (size - c->old) * c->weight, 0);
}

int growth_truncate(struct request *r, off_t size)
{
	struct stat st;
	struct change c;
	struct account *a = growth_account(r);
	if (!a)
		return plain_truncate(r, size);
	struct inode *i = inode_of_node(r, r->node);
	if (!i)
		return -ENOMEM;
	lock(i);
	int err = backing_stat(r->file ? r->file->fd : r->fd, &st);
	if (!err && (!S_ISREG(st.st_mode) || is_dead(i, &st))) {
		err = plain_truncate(r, size);
	} else if (!err) {
		begin(&c, a, i, &st);
		if (size < c.old) {
			shrink_to(&c, size);
			err = plain_truncate(r, size);
			shrunk_to(&c, size, !err);
		} else if ((err = grow_whole(r, &c, size)) == 0) {
			err = plain_truncate(r, size);
			size_changed(&c, err ? c.old : size);
		}
	}
	unlock_put(r->fs, i);
	return err;
}

static int plain_fallocate(struct request *r, int mode, off_t off, off_t len)
{
	return fallocate(r->file->fd, mode, off, len) < 0 ? -errno : 0;
}

/*
 * Space beyond the end of the file (KEEP_SIZE) would be in no size: there is no counting it, so it is refused. Holes that
 * are punched or filled within the size change nothing that counts.
 */
int growth_fallocate(struct request *r, int mode, off_t off, off_t len)
{
	struct stat st;
	struct change c;
	struct account *a = growth_account(r);
	int err = mode & FALLOC_FL_PUNCH_HOLE || off < 0 || len <= 0 ? 0 : take_room(r, len);
	if (err || !a || off < 0 || len <= 0)
		return err ? err : plain_fallocate(r, mode, off, len);
	struct inode *i = inode_of_file(r, r->file);
	if (!i)
		return -ENOMEM;
	lock(i);
	err = fstat(r->file->fd, &st) < 0 ? -errno : 0;
	if (!err) {
		begin(&c, a, i, &st);
		int64_t end = end_of(off, (size_t)len);
		if (mode & FALLOC_FL_KEEP_SIZE && !(mode & FALLOC_FL_PUNCH_HOLE) && end > c.old)
			err = -EOPNOTSUPP;
		else if (mode & FALLOC_FL_COLLAPSE_RANGE)
			shrink_to(&c, c.old > len ? c.old - len : 0);
		else if (mode & FALLOC_FL_INSERT_RANGE)
			err = grow_whole(r, &c, end_of(c.old, (size_t)len));
		else if (!(mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)))
			err = grow_whole(r, &c, end);
	}
	if (!err) {
		err = plain_fallocate(r, mode, off, len);
		bool known = fstat(r->file->fd, &st) == 0; /* it can't fail; if it did, what was taken stays taken */
		if (mode & FALLOC_FL_COLLAPSE_RANGE)
			shrunk_to(&c, c.old - len, !err);
		else
			size_changed(&c, known ? st.st_size : c.old + c.taken / c.weight);
	}
	unlock_put(r->fs, i);
	return err;
}

/* ---- opening ---- */

/* path is an O_PATH descriptor of the file, which i is of. */
static int open_locked(struct account *a, struct inode *i, int path, int flags)
{
	struct stat st;
	struct change c;
	int err = backing_stat(path, &st);
	if (err)
		return err;
	bool shrinks = flags & O_TRUNC && !is_dead(i, &st);
	if (shrinks) {
		begin(&c, a, i, &st);
		shrink_to(&c, 0);
	}
	int fd = backing_reopen(path, flags);
	if (shrinks)
		shrunk_to(&c, 0, fd >= 0);
	if (fd < 0)
		return fd;
	opened(i, a);
	st.st_size = flags & O_TRUNC ? 0 : st.st_size;
	adopt(a, i, &st);
	return fd;
}

static int open_counted(struct request *r, struct account *a, const struct stat *st, int path, int flags,
			struct inode **ret)
{
	struct inode *i = inode_get(r->fs->inodes, st->st_dev, st->st_ino);
	if (!i)
		return -ENOMEM;
	lock(i);
	int fd = open_locked(a, i, path, flags);
	pthread_rwlock_unlock(&i->lock);
	if (fd < 0)
		inode_put(r->fs->inodes, i);
	else
		*ret = i;
	return fd;
}

int growth_open(struct request *r, int flags, struct inode **ret)
{
	struct account *a = growth_account(r);
	*ret = NULL;
	if (!a)
		return backing_reopen(r->fd, flags);
	const struct stat st = {.st_dev = r->node->key.dev, .st_ino = r->node->key.ino};
	return open_counted(r, a, &st, r->fd, flags, ret);
}

/* An open file that is new. */
static int enter_new(struct request *r, struct account *a, int fd /* consumed on failure */, bool orphan,
		     struct inode **ret)
{
	struct stat st;
	struct inode *i = fstat(fd, &st) < 0 ? NULL : inode_get(r->fs->inodes, st.st_dev, st.st_ino);
	if (!i) {
		close_fd(fd);
		return -ENOMEM;
	}
	lock(i);
	opened(i, a);
	i->orphan = orphan;
	pthread_rwlock_unlock(&i->lock);
	*ret = i;
	return fd;
}

/* One that is there: without O_CREAT, by a descriptor that can't be another's by now. */
static int open_there(struct request *r, struct account *a, const char *name, int flags, struct inode **ret)
{
	struct stat st;
	_cleanup_close_ int path = openat(r->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (path < 0)
		return -errno;
	int err = backing_stat(path, &st);
	if (err)
		return err;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : S_ISLNK(st.st_mode) ? -ELOOP : -EPERM;
	return open_counted(r, a, &st, path, flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW), ret);
}

int growth_create(struct request *r, const char *name, int flags, mode_t mode, struct inode **ret)
{
	struct account *a = growth_account(r);
	*ret = NULL;
	if (!a) {
		int err = take_room(r, NAME_ROOM);
		int fd = err ? -1 : openat(r->fd, name, flags | O_CREAT, mode);
		return err ? err : fd < 0 ? -errno : fd;
	}

	struct inode *dir = inode_of_node(r, r->node);
	if (!dir)
		return -ENOMEM;
	lock(dir);
	/* Full or not, what is there can be opened. By another instance it may come between: then once more. */
	int fd = -ENOENT;
	for (int i = 0; i < 3 && (fd == -ENOENT || fd == -EEXIST); i++) {
		fd = flags & O_EXCL ? -ENOENT : open_there(r, a, name, flags, ret);
		if (fd != -ENOENT)
			break;
		int64_t taken = take_room(r, NAME_ROOM);
		if (taken == 0)
			taken = take(r, 0, 0, 1);
		if (taken < 0) {
			fd = (int)taken;
			break;
		}
		fd = openat(r->fd, name, flags | O_CREAT | O_EXCL, mode);
		fd = fd < 0 ? -errno : fd;
		quota_settle(a, 0, 1, 0, fd >= 0);
		if (fd >= 0)
			fd = enter_new(r, a, fd, false, ret);
		if (flags & O_EXCL)
			break;
	}
	unlock_put(r->fs, dir);
	return fd;
}

int growth_tmpfile(struct request *r, int flags, mode_t mode, struct inode **ret)
{
	struct account *a = growth_account(r);
	*ret = NULL;
	int64_t taken = take_room(r, NAME_ROOM);
	if (taken == 0 && a)
		taken = take(r, 0, 0, 1);
	if (taken < 0)
		return (int)taken;
	int fd = openat(r->fd, ".", flags | O_TMPFILE, mode);
	fd = fd < 0 ? -errno : fd;
	if (!a)
		return fd;
	if (fd >= 0)
		fd = enter_new(r, a, fd, true, ret);
	quota_settle(a, 0, 1, 0, fd >= 0);
	if (fd >= 0)
		quota_hold(a, 0, 1);
	return fd;
}

void growth_close(struct fs *fs, struct inode *i, int fd)
{
	struct stat st;
	if (!i)
		return;
	lock(i);
	if (--i->opens == 0 && i->orphan && fstat(fd, &st) == 0) {
		quota_expect(i->account, st.st_size, 1);
		quota_settle(i->account, st.st_size, 1, 0, 0);
		quota_hold(i->account, -st.st_size, -1);
		i->orphan = false;
	}
	unlock_put(fs, i);
}

/* ---- names ---- */

static int name_begin(struct request *r, const struct node *dir, struct naming *n)
{
	*n = (struct naming){.request = r, .account = growth_account(r)};
	int64_t taken = take_room(r, NAME_ROOM);
	if (taken < 0 || !n->account)
		return (int)taken;
	n->dir = inode_of_node(r, dir);
	if (!n->dir)
		return -ENOMEM;
	lock(n->dir);
	return 0;
}

static int name_end(struct naming *n, int err)
{
	if (n->dir)
		unlock_put(n->request->fs, n->dir);
	return err;
}

int naming_begin(struct request *r, struct naming *n)
{
	int err = name_begin(r, r->node, n);
	if (err || !n->account)
		return err;
	int64_t taken = take(r, 0, 0, 1);
	return taken < 0 ? name_end(n, (int)taken) : 0;
}

int naming_end(struct naming *n, int err)
{
	if (n->account)
		quota_settle(n->account, 0, 1, 0, !err);
	return name_end(n, err);
}

/* A name that is about to go, its directory being locked. */
struct removal {
	struct account *account;
	struct inode *inode; /* of a regular file; locked */
	struct stat st;
	int64_t bytes;
};

static int removal_begin(struct request *r, struct account *a, int dir, const char *name, struct removal *rm)
{
	*rm = (struct removal){.account = a};
	_cleanup_close_ int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 ? -errno : backing_stat(fd, &rm->st);
	if (err)
		return err;
	if (S_ISREG(rm->st.st_mode)) {
		rm->inode = inode_get(r->fs->inodes, rm->st.st_dev, rm->st.st_ino);
		if (!rm->inode)
			return -ENOMEM;
		lock(rm->inode);
		err = backing_stat(fd, &rm->st);
		if (err) {
			unlock_put(r->fs, rm->inode);
			return err;
		}
		rm->bytes = rm->st.st_size;
	}
	quota_expect(a, rm->bytes, 1);
	return 0;
}

static void removal_end(struct request *r, struct removal *rm, bool gone)
{
	bool kept = !gone || (rm->inode && rm->inode->opens && rm->st.st_nlink <= 1);
	quota_settle(rm->account, rm->bytes, 1, kept ? rm->bytes : 0, kept);
	if (gone && kept) {
		rm->inode->orphan = true;
		quota_hold(rm->account, rm->bytes, 1);
	}
	if (rm->inode)
		unlock_put(r->fs, rm->inode);
}

int growth_remove(struct request *r, const char *name, int flags)
{
	struct account *a = growth_account(r);
	if (!a)
		return unlinkat(r->fd, name, flags) < 0 ? -errno : 0;
	struct removal rm;
	struct inode *dir = inode_of_node(r, r->node);
	if (!dir)
		return -ENOMEM;
	lock(dir);
	int err = removal_begin(r, a, r->fd, name, &rm);
	if (!err) {
		err = unlinkat(r->fd, name, flags) < 0 ? -errno : 0;
		removal_end(r, &rm, !err);
	}
	unlock_put(r->fs, dir);
	return err;
}

static int plain_rename(struct request *r, const char *name, const char *newname, unsigned flags)
{
	return renameat2(r->fd, name, r->fd2, newname, flags) < 0 ? -errno : 0;
}

/* What a rename replaces is given back; it makes nothing new. Two names of one file stay as they are. */
static int rename_locked(struct request *r, struct account *a, const char *name, const char *newname, unsigned flags)
{
	struct removal rm;
	struct stat from, to;
	if (flags & (RENAME_NOREPLACE | RENAME_EXCHANGE) || fstatat(r->fd, name, &from, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(r->fd2, newname, &to, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (from.st_dev == to.st_dev && from.st_ino == to.st_ino))
		return plain_rename(r, name, newname, flags);
	int err = removal_begin(r, a, r->fd2, newname, &rm);
	if (err)
		return err;
	err = plain_rename(r, name, newname, flags);
	removal_end(r, &rm, !err);
	return err;
}

int growth_rename(struct request *r, const char *name, const char *newname, unsigned flags)
{
	struct account *a = growth_account(r);
	if (!a)
		return plain_rename(r, name, newname, flags);
	struct inode *one = inode_of_node(r, r->node), *two = inode_of_node(r, r->node2);
	int err = one && two ? 0 : -ENOMEM;
	if (!err) {
		struct inode *first = one < two ? one : two, *second = one < two ? two : one;
		lock(first);
		if (second != first)
			lock(second);
		err = rename_locked(r, a, name, newname, flags);
		if (second != first)
			pthread_rwlock_unlock(&second->lock);
		pthread_rwlock_unlock(&first->lock);
	}
	inode_put(r->fs->inodes, one);
	inode_put(r->fs->inodes, two);
	return err;
}

/* A file that had no name, from O_TMPFILE, counts already. */
static int link_locked(struct request *r, struct account *a, struct inode *i, const char *newname)
{
	struct stat st;
	int err = backing_stat(r->fd, &st);
	if (err)
		return err;
	bool orphan = S_ISREG(st.st_mode) && st.st_nlink == 0 && i->orphan;
	int64_t bytes = S_ISREG(st.st_mode) ? st.st_size : 0;
	int64_t taken = orphan ? 0 : take(r, bytes, bytes, 1);
	if (taken < 0)
		return (int)taken;
	err = backing_link(r->fd, r->fd2, newname);
	if (!orphan)
		quota_settle(a, bytes, 1, err ? 0 : bytes, !err);
	if (orphan && !err) {
		i->orphan = false;
		quota_hold(a, -bytes, -1);
	}
	return err;
}

int growth_link(struct request *r, const char *newname)
{
	struct naming n;
	int err = name_begin(r, r->node2, &n);
	if (err)
		return err;
	if (!n.account)
		return backing_link(r->fd, r->fd2, newname);
	struct inode *i = inode_of_node(r, r->node);
	if (!i)
		return name_end(&n, -ENOMEM);
	lock(i);
	err = link_locked(r, n.account, i, newname);
	unlock_put(r->fs, i);
	return name_end(&n, err);
}

/* ---- df ---- */

/* One of the two pairs of numbers: a limit, and what is left of it, but never more than there really is. */
static void show(fsblkcnt_t *total, fsblkcnt_t *free, int64_t limit, int64_t left)
{
	if (limit == LIMIT_NONE)
		return;
	*total = (fsblkcnt_t)limit;
	if (*free > (fsblkcnt_t)left)
		*free = (fsblkcnt_t)left;
}

int growth_statfs(struct request *r, struct statvfs *st)
{
	struct quota_report q;
	struct account *a = r->node ? growth_account(r) : NULL;
	room_show(&r->fs->room, st);
	if (!a || !st->f_frsize)
		return 0;
	creds_restore();
	int err = quota_report(a, growth_limits(r), &q);
	if (err)
		return err;
	int64_t unit = (int64_t)st->f_frsize;
	int64_t blocks = q.limit.bytes == LIMIT_NONE ? LIMIT_NONE : q.limit.bytes / unit;
	show(&st->f_blocks, &st->f_bfree, blocks, q.left.bytes / unit);
	if (st->f_bavail > st->f_bfree)
		st->f_bavail = st->f_bfree;
	show(&st->f_files, &st->f_ffree, q.limit.files, q.left.files);
	if (st->f_favail > st->f_ffree)
		st->f_favail = st->f_ffree;
	return 0;
}
