/* SPDX-License-Identifier: MIT */
#include "naming.h"

#include <fcntl.h>
#include <linux/fs.h>

#include "backing.h"

static const struct usage nothing, one = {0, 1};

/* ---- making ---- */

static int begin(struct request *r, const struct node *dir, struct naming *n)
{
	*n = (struct naming){.request = r};
	int err = charge_room(r, NAME_ROOM);
	if (err || !charge_account(r))
		return err;
	n->dir = charge_inode(r, dir);
	return n->dir ? 0 : -ENOMEM;
}

static int end(struct naming *n, int err)
{
	charge_done(n->request, n->dir);
	return err;
}

int naming_begin(struct request *r, struct naming *n)
{
	int err = begin(r, r->node, n);
	if (err || !n->dir)
		return err;
	int64_t taken = charge_take(r, 0, 0, 1);
	return taken < 0 ? end(n, (int)taken) : 0;
}

int naming_end(struct naming *n, int err)
{
	if (n->dir)
		charge_settle(n->request, one, err ? nothing : one, nothing);
	return n->dir ? end(n, err) : err;
}

/* A file that had no name, from O_TMPFILE, counts already; now the tree has it. */
static int link_locked(struct request *r, struct inode *i, const char *newname)
{
	struct stat st;
	int err = charge_stat(r, r->fd, &st);
	if (err)
		return err;
	const struct usage all = {S_ISREG(st.st_mode) ? st.st_size : 0, 1}, released = {-all.bytes, -1};
	bool orphan = S_ISREG(st.st_mode) && st.st_nlink == 0 && i->orphan;
	int64_t taken = orphan ? charge_expect(r, nothing) : charge_take(r, all.bytes, all.bytes, 1);
	if (taken < 0)
		return (int)taken;
	err = backing_link(r->fd, r->fd2, newname);
	if (orphan) {
		charge_went(r, nothing, nothing, err ? nothing : released);
	} else {
		/* Another instance may have made it larger meanwhile, for the one name that it had. */
		bool grown = !err && charge_stat(r, r->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > all.bytes;
		charge_settle(r, all, err ? nothing : (struct usage){grown ? st.st_size : all.bytes, 1}, nothing);
	}
	i->orphan = i->orphan && !(orphan && !err);
	return err;
}

int naming_link(struct request *r, const char *newname)
{
	struct naming n;
	int err = begin(r, r->node2, &n);
	if (err || !n.dir)
		return err ? err : backing_link(r->fd, r->fd2, newname);
	struct inode *i = charge_inode(r, r->node);
	err = i ? link_locked(r, i, newname) : -ENOMEM;
	charge_done(r, i);
	return end(&n, err);
}

/* ---- removing ---- */

/* A name that is about to go, its directory being locked. */
struct removal {
	struct inode *inode; /* of a regular file; locked */
	struct stat st;
	struct usage all;
};

static int removal_begin(struct request *r, int dir, const char *name, struct removal *rm)
{
	*rm = (struct removal){.all = one};
	_cleanup_close_ int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 ? -errno : charge_stat(r, fd, &rm->st);
	if (err)
		return err;
	if (S_ISREG(rm->st.st_mode)) {
		rm->inode = charge_inode_at(r, &rm->st);
		err = rm->inode ? charge_stat(r, fd, &rm->st) : -ENOMEM;
		rm->all.bytes = rm->st.st_size;
	}
	if (!err)
		err = charge_expect(r, rm->all);
	if (err)
		charge_done(r, rm->inode);
	return err;
}

/* What is open still stays, without a name. */
static void removal_end(struct request *r, struct removal *rm, bool gone)
{
	bool kept = rm->inode && rm->inode->opens && rm->st.st_nlink <= 1;
	charge_went(r, rm->all, gone && !kept ? rm->all : nothing, gone && kept ? rm->all : nothing);
	if (gone && kept)
		rm->inode->orphan = true;
	charge_done(r, rm->inode);
}

int naming_remove(struct request *r, const char *name, int flags)
{
	if (!charge_account(r))
		return unlinkat(r->fd, name, flags) < 0 ? -errno : 0;
	struct removal rm;
	struct inode *dir = charge_inode(r, r->node);
	if (!dir)
		return -ENOMEM;
	int err = removal_begin(r, r->fd, name, &rm);
	if (!err) {
		err = unlinkat(r->fd, name, flags) < 0 ? -errno : 0;
		removal_end(r, &rm, !err);
	}
	charge_done(r, dir);
	return err;
}

/* ---- moving ---- */

static int plain_rename(struct request *r, const char *name, const char *newname, unsigned flags)
{
	return renameat2(r->fd, name, r->fd2, newname, flags) < 0 ? -errno : 0;
}

/* Whether it replaces something else. Two names of one file stay as they are. */
static bool replaces(struct request *r, const char *name, const char *newname, unsigned flags)
{
	struct stat from, to;
	return !(flags & (RENAME_NOREPLACE | RENAME_EXCHANGE)) &&
	       fstatat(r->fd, name, &from, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(r->fd2, newname, &to, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (from.st_dev != to.st_dev || from.st_ino != to.st_ino);
}

static int rename_locked(struct request *r, const char *name, const char *newname, unsigned flags)
{
	struct removal rm;
	bool replacing = replaces(r, name, newname, flags);
	int err = replacing ? removal_begin(r, r->fd2, newname, &rm) : 0;
	if (err == -ENOENT) /* another instance has removed it since */
		replacing = false;
	/* A count that meets a move may miss what moved. */
	if (!replacing)
		err = charge_expect(r, nothing);
	if (err)
		return err;
	err = plain_rename(r, name, newname, flags);
	if (replacing)
		removal_end(r, &rm, !err);
	else
		charge_went(r, nothing, nothing, nothing);
	return err;
}

int naming_rename(struct request *r, const char *name, const char *newname, unsigned flags)
{
	if (!charge_account(r))
		return plain_rename(r, name, newname, flags);
	const struct node *first = r->node, *second = r->node2;
	struct inode *one_dir = inode_get(r->fs->inodes, first->key.dev, first->key.ino);
	struct inode *other = inode_get(r->fs->inodes, second->key.dev, second->key.ino);
	int err = one_dir && other ? 0 : -ENOMEM;
	if (!err) {
		struct inode *low = one_dir < other ? one_dir : other, *high = one_dir < other ? other : one_dir;
		pthread_rwlock_wrlock(&low->lock);
		if (high != low)
			pthread_rwlock_wrlock(&high->lock);
		err = rename_locked(r, name, newname, flags);
		if (high != low)
			pthread_rwlock_unlock(&high->lock);
		pthread_rwlock_unlock(&low->lock);
	}
	inode_put(r->fs->inodes, one_dir);
	inode_put(r->fs->inodes, other);
	return err;
}
