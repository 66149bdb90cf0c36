/* SPDX-License-Identifier: MIT */
#include "trash.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "durable.h"
#include "proto/sid.h"
#include "tree.h"

#define LEAF_MAX (SID_HASH_LEN + TEMP_NAME_MAX)
#define PATH_LEN (sizeof("sessions/00/") + LEAF_MAX)

static bool exists(int store, const char *path)
{
	struct stat st;
	return fstatat(store, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A rename to a name that is nobody else's. ENOENT may be the answer to one that was sent twice: then it is there. */
static int move(int store, const char *from, const char *to)
{
	if (renameat(store, from, store, to) == 0)
		return 0;
	int r = -errno;
	return r == -ENOENT && exists(store, to) ? 0 : r;
}

static void place_of(const char *leaf, char path[static PATH_LEN])
{
	snprintf(path, PATH_LEN, "sessions/%.2s/%.*s", leaf, SID_HASH_LEN, leaf);
}

static void path_in(const char *dir, const char *leaf, char path[static PATH_LEN])
{
	snprintf(path, PATH_LEN, "%s/%s", dir, leaf);
}

/* Syncs the directory that a path lies in. */
static int sync_parent(int store, const char *path)
{
	char parent[PATH_LEN];
	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	return durable_sync_dir(store, parent);
}

/*
 * One entry of leaving/ back to its place. Where there is another session by now, nobody can have been told that this
 * one is his: who makes a session looks here first (store_claim), and so would have put it back.
 */
static int put_back(int store, const char *leaf)
{
	char from[PATH_LEN], to[PATH_LEN];
	path_in(LEAVING_DIR, leaf, from);
	place_of(leaf, to);
	/* Never over another: a session's directory is not empty, and that is ENOTEMPTY everywhere. */
	if (renameat(store, from, store, to) == 0)
		return sync_parent(store, to);
	if (errno == ENOENT) /* somebody else did */
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	path_in(TRASH_DIR, leaf, to);
	int r = move(store, from, to);
	return r == -ENOENT ? 0 : r;
}

int trash_take(int store, const char *name, bool (*sure)(int dir, void *ctx), void *ctx, int *dir)
{
	char leaf[LEAF_MAX], temp[TEMP_NAME_MAX], from[PATH_LEN], to[PATH_LEN];
	temp_name(temp);
	snprintf(leaf, sizeof(leaf), "%.*s%s", SID_HASH_LEN, name, temp);
	place_of(name, from);
	path_in(LEAVING_DIR, leaf, to);
	int r = move(store, from, to);
	if (r < 0)
		return r;

	_cleanup_close_ int fd = openat(store, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || !sure(fd, ctx)) {
		r = put_back(store, leaf);
		return r < 0 ? r : -EAGAIN;
	}
	char end[PATH_LEN];
	path_in(TRASH_DIR, leaf, end);
	r = move(store, to, end);
	if (r < 0)
		return r == -ENOENT ? -EAGAIN : r;
	r = sync_parent(store, end);
	if (r == 0)
		r = sync_parent(store, from);
	if (r == 0)
		*dir = steal_fd(&fd);
	return r;
}

/* The sum of FNV-1a: to know a name again. */
static uint64_t hash_of(const char *leaf)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *leaf; leaf++)
		h = (h ^ (unsigned char)*leaf) * UINT64_C(0x100000001b3);
	return h;
}

static bool is_leaf(const char *name)
{
	return strspn(name, "0123456789abcdef") == SID_HASH_LEN && temp_is(name + SID_HASH_LEN);
}

/* Calls visit for each entry until it gives non-zero, which is returned. A store of before has no leaving/. */
static int each_leaving(int store, int (*visit)(int store, const char *leaf, void *ctx), void *ctx)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(store, LEAVING_DIR, &d);
	const struct dirent *e;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while (r == 0 && (e = readdir(d)))
		if (is_leaf(e->d_name))
			r = visit(store, e->d_name, ctx);
	return r;
}

static int return_named(int store, const char *leaf, void *name)
{
	if (strncmp(leaf, name, SID_HASH_LEN) != 0)
		return 0;
	int r = put_back(store, leaf);
	return r < 0 ? r : 1;
}

int trash_return(int store, const char *name)
{
	return each_leaving(store, return_named, (void *)(uintptr_t)name);
}

struct stranded {
	const struct trash_seen *before;
	struct trash_seen now;
	int returned;
};

static int return_seen(int store, const char *leaf, void *ctx)
{
	struct stranded *s = ctx;
	uint64_t hash = hash_of(leaf);
	for (unsigned i = 0; i < s->before->n; i++)
		if (s->before->hash[i] == hash) {
			int r = put_back(store, leaf);
			s->returned += r == 0;
			return r;
		}
	if (s->now.n < TRASH_SEEN)
		s->now.hash[s->now.n++] = hash;
	return 0;
}

int trash_return_stranded(int store, struct trash_seen *seen)
{
	struct stranded s = {.before = seen};
	int r = each_leaving(store, return_seen, &s);
	*seen = s.now;
	return r < 0 ? r : s.returned;
}

int trash_count(int store, int max)
{
	_cleanup_closedir_ DIR *d = NULL;
	int n = 0, r = tree_opendir(store, TRASH_DIR, &d);
	const struct dirent *e;
	if (r < 0)
		return r;
	while (n < max && (e = readdir(d)))
		n += !tree_is_dots(e->d_name);
	return n;
}
