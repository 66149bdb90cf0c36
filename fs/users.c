/* SPDX-License-Identifier: MIT */
#include "users.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "durable.h"
#include "proto/limits.h"
#include "tree.h"

#define USER_PATH_MAX sizeof("users/00")
#define LIMITED "limited"
#define TRIES 4
#define STALE_AGE 3600 /* seconds: no creation of a session takes that long */

void user_hash(const char *sub, char user[static SID_HASH_LEN + 1])
{
	sid_hash(sub, user); /* the same hash; a sub is any text */
}

static bool is_name(const char *name)
{
	return strlen(name) == SID_HASH_LEN && strspn(name, "0123456789abcdef") == SID_HASH_LEN;
}

static int open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A user's directory, from its parent opened afresh. */
static int open_user(struct store *s, const char *user, bool make)
{
	char path[USER_PATH_MAX], temp[TEMP_NAME_MAX];
	snprintf(path, sizeof(path), "users/%.2s", user);
	_cleanup_close_ int shard = open_dir(store_fd(s), path);
	if (shard < 0)
		return shard;
	int fd = open_dir(shard, user);
	if (fd != -ENOENT || !make)
		return fd;

	temp_name(temp);
	if (mkdirat(shard, temp, 0700) < 0)
		return -errno;
	int r = durable_place_dir(shard, temp, user);
	if (r < 0)
		unlinkat(shard, temp, AT_REMOVEDIR); /* another was first */
	if (r == 0 || r == -EEXIST)
		r = durable_sync_dir(shard, ".");
	return r < 0 ? r : open_dir(shard, user);
}

int users_each(struct store *s, const char *user, users_visit_fn *visit, void *ctx)
{
	_cleanup_close_ int fd = open_user(s, user, false);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(fd, ".", &d);
	const struct dirent *e;
	while (r == 0 && (errno = 0, e = readdir(d)))
		if (is_name(e->d_name))
			r = visit(ctx, e->d_name);
	return r == 0 && errno ? -errno : r;
}

static bool exists(struct store *s, const char *name)
{
	_cleanup_close_ int dir = -1;
	return store_session_dir(s, name, &dir) != -ENOENT;
}

/* How many there are; old names without a session are taken away. */
static int count(struct store *s, int dir, int64_t *ret)
{
	_cleanup_closedir_ DIR *d = NULL;
	int64_t n = 0;
	int r = tree_opendir(dir, ".", &d);
	if (r < 0)
		return r;
	const struct dirent *e;
	while (errno = 0, (e = readdir(d))) {
		struct stat st;
		if (!is_name(e->d_name))
			continue;
		if (!exists(s, e->d_name) && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    time(NULL) - st.st_mtime > STALE_AGE)
			unlinkat(dir, e->d_name, 0);
		else
			n++;
	}
	if (errno)
		return -errno;
	*ret = n;
	return 0;
}

static int take_back(int dir, const char *name)
{
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : durable_sync_dir(dir, ".");
}

/* Two that saw each other both step back, and one of them may have fitted. */
static void rest(int i)
{
	uint16_t random = 0;
	(void)!getrandom(&random, sizeof(random), 0);
	usleep((useconds_t)random % (1000u << i));
}

int users_enter(struct store *s, const char *sub, const char *name, int64_t max, bool *fresh)
{
	char user[SID_HASH_LEN + 1];
	struct stat st;
	user_hash(sub, user);
	*fresh = false;
	int r = -EDQUOT;
	for (int i = 0; r == -EDQUOT && i < TRIES; i++) {
		_cleanup_close_ int dir = open_user(s, user, true);
		if (dir < 0)
			return dir;
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return 0;
		if (i > 0)
			rest(i);
		r = durable_create(dir, name, "", 0);
		if (r < 0)
			return r == -EEXIST ? 0 : r;
		if (max == LIMIT_NONE || exists(s, name))
			break;
		int64_t n = 0;
		r = count(s, dir, &n);
		if (r == 0 && n > max)
			r = -EDQUOT;
		if (r < 0) {
			int back = take_back(dir, name);
			if (back < 0)
				return back;
		}
	}
	*fresh = r == 0;
	return r;
}

int users_limit(struct store *s, const char *sub)
{
	char user[SID_HASH_LEN + 1];
	struct stat st;
	user_hash(sub, user);
	_cleanup_close_ int dir = open_user(s, user, true);
	if (dir < 0 || fstatat(dir, LIMITED, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return dir < 0 ? dir : 0;
	int r = durable_create(dir, LIMITED, "", 0);
	return r == -EEXIST ? 0 : r;
}

bool users_is_limited(struct store *s, const char *sub)
{
	char user[SID_HASH_LEN + 1];
	struct stat st;
	user_hash(sub, user);
	_cleanup_close_ int dir = open_user(s, user, false);
	return dir >= 0 && fstatat(dir, LIMITED, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int users_leave(struct store *s, const char *sub, const char *name)
{
	char user[SID_HASH_LEN + 1];
	user_hash(sub, user);
	_cleanup_close_ int dir = open_user(s, user, false);
	return dir < 0 ? dir == -ENOENT ? 0 : dir : take_back(dir, name);
}
