/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "durable.h"
#include "stats.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

int tree_open(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, OPEN_DIR);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -EUCLEAN : -errno;
	return fd;
}

int tree_opendir(int dirfd, const char *name, DIR **ret)
{
	_cleanup_close_ int fd = openat(dirfd, name, OPEN_DIR);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return -errno;
	steal_fd(&fd);
	*ret = d;
	return 0;
}

/*
 * --- usage
 * ----------------------------------------------------------------------------------------------------------
 */

#define REST_EVERY 256 /* names */
#define REST_US 500

/* A directory on the way down, and its subdirectories that are still to be seen: names, each with its NUL. */
struct level {
	dev_t dev;
	ino_t ino;
	char *names; /* owned */
	size_t len, size;
};

struct walk {
	struct level *levels; /* owned */
	size_t depth, size;
	int fd; /* the deepest level; owned */
	uint64_t files, bytes;
	uint64_t most; /* 0: any number of files */
	bool pace;
};

static void cleanup_walk(struct walk *w)
{
	while (w->depth > 0)
		free(w->levels[--w->depth].names);
	free(w->levels);
	close_fd(w->fd);
}

/* The array with room for need more of elem bytes each, perhaps elsewhere; NULL without memory, and as it was. */
static void *grow(void *array, size_t *size, size_t used, size_t need, size_t elem)
{
	if (*size - used >= need)
		return array;
	size_t more = (used + need) * 2;
	void *moved = reallocarray(array, more, elem);
	if (moved)
		*size = more;
	return moved;
}

static int level_scan(struct walk *w, struct level *l)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(w->fd, ".", &d);
	if (r < 0)
		return r;
	const struct dirent *e;
	while (errno = 0, (e = readdir(d))) {
		struct statx st;
		if (tree_is_dots(e->d_name))
			continue;
		/* What another machine wrote, too. */
		if (statx(w->fd, e->d_name, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_TYPE | STATX_SIZE, &st) <
		    0) {
			if (errno == ENOENT || errno == ESTALE)
				continue;
			return -errno;
		}
		if (w->files++ == w->most && w->most)
			return -E2BIG;
		if (w->pace && w->files % REST_EVERY == 0)
			usleep(REST_US);
		if (S_ISREG(st.stx_mode))
			w->bytes = w->bytes > INT64_MAX - st.stx_size ? INT64_MAX : w->bytes + st.stx_size;
		if (!S_ISDIR(st.stx_mode))
			continue;
		size_t n = strlen(e->d_name) + 1;
		char *names = grow(l->names, &l->size, l->len, n, 1);
		if (!names)
			return -ENOMEM;
		l->names = names;
		memcpy(l->names + l->len, e->d_name, n);
		l->len += n;
	}
	return -errno;
}

/* Goes down into a directory: it is now the walk's. */
static int walk_push(struct walk *w, int fd /* consumed */)
{
	struct stat st;
	close_fd(w->fd);
	w->fd = fd;
	struct level *levels = grow(w->levels, &w->size, w->depth, 1, sizeof(*levels));
	if (!levels)
		return -ENOMEM;
	w->levels = levels;
	if (fstat(fd, &st) < 0)
		return -errno;
	struct level *l = &w->levels[w->depth++];
	*l = (struct level){.dev = st.st_dev, .ino = st.st_ino};
	return level_scan(w, l);
}

/* Back up, by "..", which may lead elsewhere by now. */
static int walk_pop(struct walk *w)
{
	free(w->levels[--w->depth].names);
	if (w->depth == 0)
		return 0;
	struct stat st;
	const struct level *l = &w->levels[w->depth - 1];
	_cleanup_close_ int up = openat(w->fd, "..", OPEN_DIR);
	if (up < 0 || fstat(up, &st) < 0)
		return errno == ENOENT || errno == ESTALE ? -EAGAIN : -errno;
	if (st.st_dev != l->dev || st.st_ino != l->ino)
		return -EAGAIN;
	close_fd(w->fd);
	w->fd = steal_fd(&up);
	return 0;
}

int tree_usage(int dirfd, bool pace, uint64_t most, uint64_t *files, uint64_t *bytes)
{
	_cleanup_(cleanup_walk) struct walk w = {.fd = -1, .pace = pace, .most = most};
	int fd = openat(dirfd, ".", OPEN_DIR);
	if (fd < 0)
		return -errno;
	int r = walk_push(&w, fd);
	while (r == 0 && w.depth > 0) {
		struct level *l = &w.levels[w.depth - 1];
		if (l->len == 0) {
			r = walk_pop(&w);
			continue;
		}
		const char *name = l->names + l->len - 1;
		while (name > l->names && name[-1] != '\0')
			name--;
		l->len = (size_t)(name - l->names);
		fd = openat(w.fd, name, OPEN_DIR);
		if (fd >= 0)
			r = walk_push(&w, fd);
		else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != ESTALE)
			r = -errno;
	}
	if (r < 0)
		return r;
	*files = w.files;
	*bytes = w.bytes;
	return 0;
}

/*
 * --- deleting
 * -------------------------------------------------------------------------------------------------------
 */

/*
 * For a daemon that is not root: a user may have taken all rights from a directory. By descriptor: no link is
 * followed.
 */
static void make_ours(int dirfd, const char *name)
{
	char path[32];
	_cleanup_close_ int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0)
		(void)!chmod(path, 0700);
}

/* unlinkat(2), counted. */
static int take_away(int dirfd, const char *name, int flags)
{
	int r = unlinkat(dirfd, name, flags);
	if (r == 0)
		stats_add(STATS_trash_removed, 1);
	return r;
}

/* Deletes one entry of dir, or moves it up into top if it is a directory that is not empty. */
static int delete_or_lift(int dir, const char *name, int top)
{
	if (take_away(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	int r = -errno;
	if (r != -EISDIR && r != -EPERM) /* EPERM: what POSIX says for a directory */
		return r;
	if (take_away(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTDIR)
		return r;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;

	char temp[TEMP_NAME_MAX];
	temp_name(temp);
	if (renameat(dir, name, top, temp) == 0 || errno == ENOENT)
		return 0;
	if (errno == EACCES) { /* a new parent means writing to it: ".." */
		make_ours(dir, name);
		if (renameat(dir, name, top, temp) == 0)
			return 0;
	}
	return -errno;
}

/* Empties and deletes the directory name of top. -ENOTEMPTY when the budget did not suffice, or there was more. */
static int delete_dir(int top, const char *name, unsigned *budget)
{
	make_ours(top, name);
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(top, name, &d);
	if (r < 0)
		return r;
	const struct dirent *e;
	while (*budget > 0 && (e = readdir(d))) {
		if (tree_is_dots(e->d_name))
			continue;
		int error = delete_or_lift(dirfd(d), e->d_name, top);
		if (error < 0)
			r = error;
		else
			--*budget;
	}
	if (*budget > 0 && take_away(top, name, AT_REMOVEDIR) == 0)
		--*budget;
	else if (r == 0)
		r = *budget > 0 ? -errno : -ENOTEMPTY;
	return r;
}

int tree_empty(int top, unsigned budget)
{
	/* In passes, since what is moved up meanwhile may or may not be listed; until one changes nothing. */
	for (;;) {
		_cleanup_closedir_ DIR *d = NULL;
		int r = tree_opendir(top, ".", &d);
		if (r < 0)
			return r;
		unsigned before = budget;
		const struct dirent *e;
		while ((e = readdir(d))) {
			if (tree_is_dots(e->d_name))
				continue;
			if (budget == 0)
				return 1;
			int error = 0;
			if (take_away(top, e->d_name, 0) == 0)
				budget--;
			else if (errno == EISDIR || errno == EPERM)
				error = delete_dir(top, e->d_name, &budget);
			else if (errno != ENOENT)
				error = -errno;
			if (error < 0 && error != -ENOENT)
				r = error;
		}
		if (budget == before)
			return r;
	}
}
