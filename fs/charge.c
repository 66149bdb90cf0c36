/* SPDX-License-Identifier: MIT */
#include "charge.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include "creds.h"

static const struct binding *through(const struct request *r)
{
	return r->binding ? r->binding : r->via;
}

struct account *charge_account(const struct request *r)
{
	const struct binding *b = through(r);
	return b ? atomic_load_explicit(&b->session->account, memory_order_acquire) : NULL;
}

const struct limits *charge_limits(const struct request *r)
{
	return &through(r)->limits;
}

int64_t charge_take(struct request *r, int64_t bytes, int64_t least, int64_t files)
{
	struct account *a = charge_account(r);
	if (account_take_granted(a, charge_limits(r), bytes, files))
		return bytes;
	creds_restore();
	int64_t taken = quota_take(a, charge_limits(r), bytes, least, files);
	int err = creds_become(r->tid, r->uid, r->gid);
	if (err && taken >= 0)
		charge_settle(r, (struct usage){taken, files}, (struct usage){0, 0}, (struct usage){0, 0});
	return err ? err : taken;
}

void charge_settle(struct request *r, struct usage taken, struct usage kept, struct usage held)
{
	account_settle(charge_account(r), &taken, &kept, &held);
}

int charge_expect(struct request *r, struct usage most)
{
	struct account *a = charge_account(r);
	if (account_expect_open(a, &most))
		return 0;
	creds_restore();
	account_expect(a, &most);
	int err = creds_become(r->tid, r->uid, r->gid);
	if (err)
		charge_went(r, most, (struct usage){0, 0}, (struct usage){0, 0});
	return err;
}

void charge_went(struct request *r, struct usage most, struct usage went, struct usage held)
{
	account_went(charge_account(r), charge_limits(r), &most, &went, &held);
}

int charge_room(struct request *r, int64_t bytes)
{
	int64_t left = room_take(&r->fs->room, bytes, bytes);
	return left < 0 ? (int)left : 0;
}

static struct inode *locked(struct inode *i)
{
	if (i)
		pthread_rwlock_wrlock(&i->lock);
	return i;
}

struct inode *charge_inode(struct request *r, const struct node *n)
{
	return locked(inode_get(r->fs->inodes, n->key.dev, n->key.ino));
}

struct inode *charge_inode_at(struct request *r, const struct stat *st)
{
	return locked(inode_get(r->fs->inodes, st->st_dev, st->st_ino));
}

void charge_done(struct request *r, struct inode *i)
{
	if (i)
		pthread_rwlock_unlock(&i->lock);
	inode_put(r->fs->inodes, i);
}

int charge_stat(struct request *r, int fd, struct stat *st)
{
	struct statx x;
	if (r->fs->config.cache != CACHE_SHARED)
		return backing_stat(fd, st);
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &x) < 0)
		return -errno;
	*st = (struct stat){
		.st_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
		.st_ino = x.stx_ino,
		.st_mode = x.stx_mode,
		.st_nlink = x.stx_nlink,
		.st_size = (off_t)x.stx_size,
	};
	return 0;
}
