/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "durable.h"
#include "tree.h"
#include "util.h"

#define TRIES 8 /* how often we start again because another daemon was faster */

/* Names come from tools' arguments too: nothing but 64 lower-case hex digits is made part of a path. */
bool record_is_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == SID_HASH_LEN && name[SID_HASH_LEN] == '\0';
}

static int open_shard(int store, const char *name)
{
	char path[sizeof("sessions/00")];
	snprintf(path, sizeof(path), "sessions/%.2s", name);
	int fd = tree_open(store, path);
	return fd == -ENOENT ? -EUCLEAN : fd; /* all were made with the store */
}

/* A session's directory, from its shard opened afresh: only so is ENOENT a proof on NFS. */
int record_open(int store, const char *name, int *ret)
{
	if (!record_is_name(name))
		return -EINVAL;
	int r = -ESTALE;
	for (int i = 0; r == -ESTALE && i < TRIES; i++) {
		_cleanup_close_ int shard = open_shard(store, name);
		r = shard < 0 ? shard : tree_open(shard, name);
	}
	if (r < 0)
		return r;
	*ret = r;
	return 0;
}

/* Since when, in Unix seconds of whoever keeps the filesystem's time; 0 if it is not revoked; -errno. */
static int64_t revoked_since(int dir)
{
	struct stat st;
	if (fstatat(dir, "revoked", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return st.st_mtime > 0 ? st.st_mtime : 1;
	return errno == ENOENT ? 0 : -errno;
}

int record_is_revoked(int dir)
{
	int64_t since = revoked_since(dir);
	return since > 0 ? 1 : (int)since;
}

int record_read(int dir, const char *name, struct meta *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	struct meta m;
	int r = durable_read(dir, "meta.json", META_SIZE_MAX, &text, &len);
	if (r == 0)
		r = meta_parse(text, len, &m);
	if (r < 0)
		return r;

	char hash[SID_HASH_LEN + 1];
	sid_hash(m.sid, hash);
	if (strcmp(hash, name) != 0)
		return -EUCLEAN;
	int64_t since = revoked_since(dir);
	if (since < 0)
		return (int)since;
	m.revoked = m.revoked || since > 0;
	m.revoked_at = since;
	*ret = m;
	return 0;
}

int record_find(int store, const char *name, int *dir, struct meta *ret)
{
	/*
	 * A meta.json that is missing is damage, unless the session was on its way to the trash: then it is gone now.
	 */
	int r = -ENOENT;
	for (int i = 0; r == -ENOENT && i < TRIES; i++) {
		_cleanup_close_ int fd = -1;
		r = record_open(store, name, &fd);
		if (r < 0)
			return r;
		r = record_read(fd, name, ret);
		if (r == 0)
			*dir = steal_fd(&fd);
	}
	return r == -ENOENT ? -EUCLEAN : r;
}

int record_write(int dir, const struct meta *m)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = meta_format(m, &text, &len);
	return r < 0 ? r : durable_replace(dir, "meta.json", text, len);
}

int record_revoke(int dir)
{
	int r = durable_create(dir, "revoked", "", 0);
	return r == -EEXIST ? 0 : r;
}

bool record_is_same(int dir, int other)
{
	struct stat a, b;
	return fstat(dir, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool record_is_elsewhere(int store, const char *name, int dir)
{
	_cleanup_close_ int there = -1;
	int r = record_open(store, name, &there);
	return r == -ENOENT || (r == 0 && !record_is_same(dir, there));
}

/*
 * Makes an empty data/ under some name. The directory is ours alone until it is renamed: no link can be in its place.
 */
static int make_data(int dir, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	if (mkdirat(dir, name, 0700) < 0)
		return -errno;
	int r = 0;
	if (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 || fchmodat(dir, name, mode, 0) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, name, AT_REMOVEDIR);
	return r;
}

static int place_data(int dir, mode_t mode, uid_t uid, gid_t gid, bool sync)
{
	struct stat st;
	if (fstatat(dir, "data", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (errno != ENOENT)
		return -errno;

	char temp[TEMP_NAME_MAX];
	temp_name(temp);
	int r = make_data(dir, temp, mode, uid, gid);
	if (r < 0)
		return r;
	if (sync)
		r = durable_sync_dir(dir, temp);
	/*
	 * An empty directory may be renamed over another empty one, which another daemon has just made and shows
	 * already. No network filesystem has NOREPLACE: there, the loser's users get ESTALE until they look again.
	 */
	if (r == 0)
		r = durable_place_dir(dir, temp, "data");
	if (r < 0)
		unlinkat(dir, temp, AT_REMOVEDIR);
	return r == 0 && sync ? durable_sync_dir(dir, ".") : r;
}

int record_make_data(int dir, mode_t mode, uid_t uid, gid_t gid)
{
	return place_data(dir, mode, uid, gid, false);
}

int record_ensure_data(int dir, uid_t uid, gid_t gid)
{
	struct stat st;
	int r = place_data(dir, 0777, uid, gid, true);
	if (r != -EEXIST)
		return r;
	return fstatat(dir, "data", &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) ? -EUCLEAN : 0;
}

/* Fills a new session's directory and renames it into place. 0 also when another daemon was first. */
static int fill(int shard, const char *temp, const char *name, const struct meta *m, uid_t uid, gid_t gid)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = meta_format(m, &text, &len);
	if (r < 0)
		return r;
	_cleanup_close_ int dir = tree_open(shard, temp);
	if (dir < 0)
		return dir;
	r = durable_fill(dir, "meta.json", text, len);
	if (r == 0)
		r = make_data(dir, "data", 0777, uid, gid);
	if (r == 0)
		r = durable_sync_dir(dir, "data");
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	if (r == 0 && renameat(shard, temp, shard, name) == 0)
		return durable_sync_dir(shard, ".");
	if (r == 0 && errno != EEXIST && errno != ENOTEMPTY)
		r = -errno;

	/* ENOENT may be the answer to a rename that was sent twice: then it is in place, and not here. */
	struct stat st;
	if (r == -ENOENT && fstatat(shard, temp, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return durable_sync_dir(shard, ".");
	unlinkat(dir, "meta.json", 0);
	unlinkat(dir, "data", AT_REMOVEDIR);
	unlinkat(shard, temp, AT_REMOVEDIR);
	return r;
}

int record_make(int store, const char *name, const struct meta *m, uid_t uid, gid_t gid)
{
	char temp[TEMP_NAME_MAX];
	_cleanup_close_ int shard = open_shard(store, name);
	if (shard < 0)
		return shard;
	temp_name(temp);
	if (mkdirat(shard, temp, 0700) < 0)
		return -errno;
	return fill(shard, temp, name, m, uid, gid);
}
