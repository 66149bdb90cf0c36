/* SPDX-License-Identifier: MIT */
#include "growth.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/uio.h>

#include "charge.h"
#include "creds.h"

static const struct usage nothing;

static int too_large(void)
{
	stats_add(STATS_quota_file_bytes, 1);
	return -EFBIG;
}

/* ---- open files; all with the inode's lock ---- */

/* One more. The first one's account: the number may have been another file's, in another session. */
static void opened(struct inode *i, struct account *a)
{
	if (i->opens++ > 0 || i->account == a)
		return;
	quota_put(i->account);
	quota_ref(a);
	i->account = a;
}

/* A file that was opened before its session was counted. */
static void opened_before(struct request *r, struct file *f, struct inode *i, struct account *a)
{
	struct inode *its = f ? atomic_load(&f->inode) : i;
	if (its)
		return;
	its = inode_get(r->fs->inodes, i->dev, i->ino);
	atomic_store(&f->inode, its);
	if (its)
		opened(i, a);
}

/*
 * A file that is open here and lost its name to another instance, or before it was counted: that gave back what the name
 * was worth, and from here on it is ours to count.
 */
static void adopt(struct account *a, struct inode *i, const struct stat *st)
{
	if (st->st_nlink || i->orphan || !i->opens)
		return;
	const struct usage all = {st->st_size, 1};
	i->orphan = true;
	account_find(a, &all, &all);
}

/*
 * Without a name, and open nowhere here: it was given back with its last name, and the kernel has not heard yet. What
 * becomes of its size changes nothing.
 */
static bool is_dead(const struct inode *i, const struct stat *st)
{
	return !st->st_nlink && !i->orphan && !i->opens;
}

/* ---- a change of size ---- */

/* How often a byte of it counts. */
static int64_t weight(const struct stat *st)
{
	return st->st_nlink ? (int64_t)st->st_nlink : 1;
}

/* Up: what it takes is settled by size_changed(). Down: expected by shrink_to(), settled by shrunk_to(). */
struct change {
	struct request *request;
	struct account *account;
	struct inode *inode;
	int64_t old, weight;
	int64_t amount; /* taken, or expected to go */
	bool taken;
};

static void change_begin(struct change *c, struct request *r, struct file *f, struct inode *i, const struct stat *st)
{
	*c = (struct change){r, charge_account(r), i, st->st_size, weight(st), 0, false};
	opened_before(r, f, i, c->account);
	adopt(c->account, i, st);
}

/*
 * Takes what the file grows by up to `end`, or up to less, but to more than `must` bytes. The new end, or -errno.
 */
static int64_t grow_to(struct change *c, int64_t end, int64_t must)
{
	int64_t most = charge_limits(c->request)->file_bytes;
	if (end <= c->old)
		return end;
	if (end > most)
		end = most > c->old ? most : c->old;
	if (end <= must || end > LIMIT_MAX / c->weight)
		return too_large();
	if (end <= c->old)
		return end;
	int64_t least = must >= c->old ? (must + 1 - c->old) * c->weight : 0;
	int64_t r = charge_take(c->request, (end - c->old) * c->weight, least, 0);
	if (r < 0)
		return r;
	c->amount = r;
	c->taken = true;
	return c->old + r / c->weight;
}

/* The end of the file that must be reached, whole or not at all. 0 or -errno. */
static int grow_whole(struct change *c, int64_t end)
{
	if (end <= c->old)
		return 0;
	int64_t got = grow_to(c, end, end - 1);
	return got < 0 ? (int)got : 0;
}

/* After it: the size is this now. */
static void size_changed(struct change *c, int64_t size)
{
	const struct usage more = {(size - c->old) * c->weight, 0};
	const struct usage held = c->inode->orphan ? more : nothing;
	if (c->taken)
		charge_settle(c->request, (struct usage){c->amount, 0}, more, held);
	else if (more.bytes)
		account_find(c->account, &more, &held);
}

static int shrink_to(struct change *c, int64_t size)
{
	c->amount = (c->old - size) * c->weight;
	return charge_expect(c->request, (struct usage){c->amount, 0});
}

static void shrunk_to(struct change *c, bool done)
{
	const struct usage most = {c->amount, 0};
	charge_went(c->request, most, done ? most : nothing,
		    done && c->inode->orphan ? (struct usage){-c->amount, 0} : nothing);
}

/*
 * Around all that may make a file larger, and before its size is asked: between the two another instance may cut it, and
 * what it sees of our line then tells it so (account.h). 0 or -errno.
 */
static int work_begin(struct request *r)
{
	return charge_expect(r, nothing);
}

static void work_end(struct request *r)
{
	charge_went(r, nothing, nothing, nothing);
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
	if (fstat(r->file->fd, &st) < 0 || end_of(off, size) > st.st_size)
		return false;
	pthread_rwlock_rdlock(&i->lock);
	int err = work_begin(r);
	bool within = !err && fstat(r->file->fd, &st) == 0 && end_of(off, size) <= st.st_size;
	if (within)
		*ret = plain_write(r, buf, size, off, false);
	pthread_rwlock_unlock(&i->lock);
	if (!err)
		work_end(r);
	return within;
}

static ssize_t write_beyond(struct request *r, struct inode *i, const void *buf, size_t size, off_t off, bool append)
{
	struct stat st;
	struct change c;
	int err = charge_stat(r, r->file->fd, &st);
	if (err)
		return err;
	if (append)
		off = st.st_size;
	change_begin(&c, r, r->file, i, &st);
	int64_t end = grow_to(&c, end_of(off, size), off);
	if (end < 0)
		return (ssize_t)end;
	ssize_t n = plain_write(r, buf, (size_t)(end - off), off, append);
	size_changed(&c, n > 0 && off + n > c.old ? off + n : c.old);
	return n;
}

ssize_t growth_write(struct request *r, const void *buf, size_t size, off_t off, bool append)
{
	int64_t room = room_take(&r->fs->room, (int64_t)size, size > 0);
	if (room < 0)
		return room;
	size = (size_t)room;
	if (!charge_account(r) || size == 0)
		return plain_write(r, buf, size, off, append);

	ssize_t n;
	const struct node *node = r->file->node;
	struct inode *i = inode_get(r->fs->inodes, node->key.dev, node->key.ino);
	if (!i)
		return -ENOMEM;
	if (append || !write_within(r, i, buf, size, off, &n)) {
		pthread_rwlock_wrlock(&i->lock);
		n = work_begin(r);
		if (!n) {
			n = write_beyond(r, i, buf, size, off, append);
			work_end(r);
		}
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

static ssize_t copy_locked(struct request *r, struct file *to, struct inode *i, off_t off_in, off_t off_out, size_t len,
			   unsigned flags)
{
	struct stat st, from;
	struct change c;
	int err = charge_stat(r, to->fd, &st);
	if (!err)
		err = charge_stat(r, r->file->fd, &from);
	if (err)
		return err;
	/* What is beyond the end of the source is not copied, and need not be taken. */
	if (off_in >= 0 && (int64_t)len > from.st_size - off_in)
		len = off_in < from.st_size ? (size_t)(from.st_size - off_in) : 0;
	if (len == 0)
		return 0;
	change_begin(&c, r, to, i, &st);
	int64_t end = grow_to(&c, end_of(off_out, len), off_out);
	if (end < 0)
		return (ssize_t)end;
	ssize_t n = plain_copy(r, to, off_in, off_out, (size_t)(end - off_out), flags);
	size_changed(&c, n > 0 && off_out + n > c.old ? off_out + n : c.old);
	return n;
}

ssize_t growth_copy(struct request *r, struct file *to, off_t off_in, off_t off_out, size_t len, unsigned flags)
{
	int64_t room = room_take(&r->fs->room, (int64_t)len, len > 0);
	if (room < 0)
		return room;
	len = (size_t)room;
	if (!charge_account(r) || len == 0)
		return plain_copy(r, to, off_in, off_out, len, flags);
	struct inode *i = charge_inode(r, to->node);
	ssize_t n = i ? work_begin(r) : -ENOMEM;
	if (!n) {
		n = copy_locked(r, to, i, off_in, off_out, len, flags);
		work_end(r);
	}
	charge_done(r, i);
	return n;
}

/* ---- other changes of size ---- */

static int plain_truncate(struct request *r, off_t size)
{
	return !r->file ? backing_truncate(r->fd, size) : ftruncate(r->file->fd, size) < 0 ? -errno : 0;
}

static int truncate_locked(struct request *r, struct inode *i, off_t size)
{
	struct stat st;
	struct change c;
	int err = charge_stat(r, r->file ? r->file->fd : r->fd, &st);
	if (err)
		return err;
	opened_before(r, r->file, i, charge_account(r));
	if (!S_ISREG(st.st_mode) || is_dead(i, &st))
		return plain_truncate(r, size);
	change_begin(&c, r, r->file, i, &st);
	bool down = size < c.old;
	err = down ? shrink_to(&c, size) : grow_whole(&c, size);
	if (err)
		return err;
	err = plain_truncate(r, size);
	if (down)
		shrunk_to(&c, !err);
	else
		size_changed(&c, err ? c.old : size);
	return err;
}

int growth_truncate(struct request *r, off_t size)
{
	if (!charge_account(r))
		return plain_truncate(r, size);
	struct inode *i = charge_inode(r, r->node);
	int err = i ? work_begin(r) : -ENOMEM;
	if (!err) {
		err = truncate_locked(r, i, size);
		work_end(r);
	}
	charge_done(r, i);
	return err;
}

static int plain_fallocate(struct request *r, int mode, off_t off, off_t len)
{
	return fallocate(r->file->fd, mode, off, len) < 0 ? -errno : 0;
}

/*
 * Space beyond the end of the file (KEEP_SIZE) would be in no size: there is no counting it, so it is refused. Holes that
 * are punched or filled within the size change nothing that counts. The kernel lets no other modes through.
 */
static int fallocate_locked(struct request *r, struct inode *i, int mode, off_t off, off_t len)
{
	struct stat st;
	struct change c;
	int err = charge_stat(r, r->file->fd, &st);
	if (err)
		return err;
	int64_t end = end_of(off, (size_t)len);
	change_begin(&c, r, r->file, i, &st);
	if (mode & FALLOC_FL_KEEP_SIZE && !(mode & FALLOC_FL_PUNCH_HOLE) && end > c.old)
		return -EOPNOTSUPP;
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		err = grow_whole(&c, end);
	if (!err)
		err = plain_fallocate(r, mode, off, len);
	/* What another instance makes of the size meanwhile is its to count. */
	if (!c.taken)
		return err;
	/* It may fail half-way. The stat can't; if it did, what was taken stays taken. */
	int64_t size = charge_stat(r, r->file->fd, &st) == 0 ? st.st_size : c.old + c.amount / c.weight;
	size_changed(&c, size > c.old ? size : c.old);
	return err;
}

int growth_fallocate(struct request *r, int mode, off_t off, off_t len)
{
	int err = mode & FALLOC_FL_PUNCH_HOLE || off < 0 || len <= 0 ? 0 : charge_room(r, len);
	if (!err && mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		err = -EOPNOTSUPP;
	if (err || !charge_account(r) || off < 0 || len <= 0)
		return err ? err : plain_fallocate(r, mode, off, len);
	struct inode *i = charge_inode(r, r->file->node);
	err = i ? work_begin(r) : -ENOMEM;
	if (!err) {
		err = fallocate_locked(r, i, mode, off, len);
		work_end(r);
	}
	charge_done(r, i);
	return err;
}

/* ---- opening ---- */

/* path is an O_PATH descriptor of the file, which i is of. */
static int open_locked(struct request *r, struct inode *i, int path, int flags)
{
	struct stat st;
	struct change c;
	int err = charge_stat(r, path, &st);
	bool shrinks = !err && flags & O_TRUNC && !is_dead(i, &st);
	if (shrinks) {
		change_begin(&c, r, NULL, i, &st);
		err = shrink_to(&c, 0);
	}
	if (err)
		return err;
	int fd = backing_reopen(path, flags);
	if (shrinks)
		shrunk_to(&c, fd >= 0);
	if (fd < 0)
		return fd;
	opened(i, charge_account(r));
	st.st_size = flags & O_TRUNC ? 0 : st.st_size;
	adopt(charge_account(r), i, &st);
	return fd;
}

static int open_counted(struct request *r, const struct stat *st, int path, int flags, struct inode **ret)
{
	struct inode *i = charge_inode_at(r, st);
	if (!i)
		return -ENOMEM;
	int fd = open_locked(r, i, path, flags);
	pthread_rwlock_unlock(&i->lock);
	if (fd < 0)
		inode_put(r->fs->inodes, i);
	else
		*ret = i;
	return fd;
}

int growth_open(struct request *r, int flags, struct inode **ret)
{
	*ret = NULL;
	if (!charge_account(r))
		return backing_reopen(r->fd, flags);
	const struct stat st = {.st_dev = r->node->key.dev, .st_ino = r->node->key.ino};
	return open_counted(r, &st, r->fd, flags, ret);
}

/* An open file that is new. */
static int enter_new(struct request *r, int fd /* consumed on failure */, bool orphan, struct inode **ret)
{
	struct stat st;
	struct inode *i = fstat(fd, &st) < 0 ? NULL : charge_inode_at(r, &st);
	if (!i) {
		close_fd(fd);
		return -ENOMEM;
	}
	opened(i, charge_account(r));
	i->orphan = orphan;
	pthread_rwlock_unlock(&i->lock);
	*ret = i;
	return fd;
}

/* One that is there: without O_CREAT, by a descriptor that can't be another's by now. */
static int open_there(struct request *r, const char *name, int flags, struct inode **ret)
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
	return open_counted(r, &st, path, flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW), ret);
}

/* A new file, for the one name that is taken here. */
static int make(struct request *r, const char *name, int flags, mode_t mode, bool orphan, struct inode **ret)
{
	const struct usage one = {0, 1};
	int64_t taken = charge_room(r, NAME_ROOM);
	if (taken == 0)
		taken = charge_take(r, 0, 0, 1);
	if (taken < 0)
		return (int)taken;
	int fd = openat(r->fd, name, flags, mode);
	fd = fd < 0 ? -errno : fd;
	if (fd >= 0)
		fd = enter_new(r, fd, orphan, ret);
	charge_settle(r, one, fd >= 0 ? one : nothing, fd >= 0 && orphan ? one : nothing);
	return fd;
}

int growth_create(struct request *r, const char *name, int flags, mode_t mode, struct inode **ret)
{
	*ret = NULL;
	if (!charge_account(r)) {
		int err = charge_room(r, NAME_ROOM);
		int fd = err ? -1 : openat(r->fd, name, flags | O_CREAT, mode);
		return err ? err : fd < 0 ? -errno : fd;
	}

	struct inode *dir = charge_inode(r, r->node);
	if (!dir)
		return -ENOMEM;
	/* Full or not, what is there can be opened. By another instance it may come between: then once more. */
	int fd = -ENOENT;
	for (int i = 0; i < 3 && (fd == -ENOENT || fd == -EEXIST); i++) {
		fd = flags & O_EXCL ? -ENOENT : open_there(r, name, flags, ret);
		if (fd != -ENOENT)
			break;
		fd = make(r, name, flags | O_CREAT | O_EXCL, mode, false, ret);
		if (flags & O_EXCL)
			break;
	}
	charge_done(r, dir);
	return fd;
}

int growth_tmpfile(struct request *r, int flags, mode_t mode, struct inode **ret)
{
	*ret = NULL;
	if (charge_account(r))
		return make(r, ".", flags | O_TMPFILE, mode, true, ret);
	int err = charge_room(r, NAME_ROOM);
	int fd = err ? -1 : openat(r->fd, ".", flags | O_TMPFILE, mode);
	return err ? err : fd < 0 ? -errno : fd;
}

void growth_close(struct fs *fs, struct inode *i, int fd)
{
	struct stat st;
	if (!i)
		return;
	pthread_rwlock_wrlock(&i->lock);
	if (--i->opens == 0 && i->orphan && fstat(fd, &st) == 0) {
		const struct usage all = {st.st_size, 1}, released = {-st.st_size, -1};
		if (!account_expect_open(i->account, &all)) {
			creds_restore();
			account_expect(i->account, &all);
		}
		account_went(i->account, NULL, &all, &all, &released);
		i->orphan = false;
	}
	pthread_rwlock_unlock(&i->lock);
	inode_put(fs->inodes, i);
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
	struct account_report q;
	struct account *a = r->node ? charge_account(r) : NULL;
	room_show(&r->fs->room, st);
	if (!a || !st->f_frsize)
		return 0;
	creds_restore();
	int err = account_report(a, charge_limits(r), &q);
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
