/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "durable.h"
#include "util.h"

#define SOMEBODY 65534 /* nobody's uid and gid: any but root's */

struct probe {
	int dir; /* O_RDONLY of the directory in which all is tried; -1 before it is made */
	char *why;
	size_t why_len;
};

/* Says what is missing. error is what the call said, 0 where it said nothing and yet did not do it. */
__attribute__((format(printf, 3, 4))) static int lacks(const struct probe *p, int error, const char *fmt, ...)
{
	char what[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(p->why, p->why_len, "a store can't be on this filesystem: %s%s%s", what, error ? ": " : "",
		 error ? strerror(error) : "");
	return error ? -error : -EOPNOTSUPP;
}

/* An error of the filesystem's state rather than of its kind: nothing is known then. */
static bool says_nothing(int error)
{
	return error == EROFS || error == ENOSPC || error == EDQUOT;
}

static int put(const struct probe *p, const char *name, const char *text)
{
	int r = durable_fill(p->dir, name, text, strlen(text));
	return r < 0 ? lacks(p, -r, "writing and fsync of a file") : 0;
}

static bool exists(const struct probe *p, const char *name)
{
	struct stat st;
	return fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int try_exclusive(const struct probe *p)
{
	int fd = openat(p->dir, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int error = fd < 0 ? errno : 0;
	close_fd(fd);
	return error == EEXIST ? 0 : lacks(p, error, "O_EXCL does not refuse a file that is there");
}

static int try_mode(const struct probe *p)
{
	struct stat st;
	const mode_t modes[] = {0640, 0705};
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (fchmodat(p->dir, "file", modes[i], 0) < 0)
			return lacks(p, errno, "it keeps no file modes");
		if (fstatat(p->dir, "file", &st, AT_SYMLINK_NOFOLLOW) < 0 || (st.st_mode & 07777) != modes[i])
			return lacks(p, 0, "it keeps no file modes");
	}
	return 0;
}

/* Users' files are made under their own ids. A daemon that is not root serves its own user alone. */
static int try_owner(const struct probe *p)
{
	struct stat st;
	if (geteuid() != 0)
		return 0;
	if (fchownat(p->dir, "file", SOMEBODY, SOMEBODY, AT_SYMLINK_NOFOLLOW) < 0)
		return lacks(p, errno, "it keeps no file owners (or root is not root there: no_root_squash)");
	if (fstatat(p->dir, "file", &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid != SOMEBODY || st.st_gid != SOMEBODY)
		return lacks(p, 0, "it keeps no file owners");
	return 0;
}

static int try_case(const struct probe *p)
{
	return exists(p, "FILE") ? lacks(p, 0, "names that differ in case alone are one file there") : 0;
}

static int try_link(const struct probe *p)
{
	struct stat st;
	if (linkat(p->dir, "file", p->dir, "link", 0) < 0)
		return lacks(p, errno, "it has no hard links");
	if (linkat(p->dir, "file", p->dir, "link", 0) == 0 || errno != EEXIST)
		return lacks(p, 0, "link does not refuse a name that is there");
	if (fstatat(p->dir, "file", &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_nlink != 2)
		return lacks(p, 0, "it does not count a file's links");
	return 0;
}

/* The name that is replaced is open, as a meta.json may be; and what takes its place is whole. */
static int try_replace(const struct probe *p)
{
	char text[8] = "";
	int r = put(p, "new", "new");
	if (r < 0)
		return r;
	_cleanup_close_ int old = openat(p->dir, "file", O_RDONLY | O_CLOEXEC);
	if (old < 0)
		return lacks(p, errno, "a file can't be opened");
	if (renameat(p->dir, "new", p->dir, "file") < 0)
		return lacks(p, errno, "rename does not replace a file");
	_cleanup_close_ int fd = openat(p->dir, "file", O_RDONLY | O_CLOEXEC);
	if (exists(p, "new") || fd < 0 || read(fd, text, sizeof(text) - 1) != 3 || strcmp(text, "new") != 0)
		return lacks(p, 0, "rename does not replace a file");
	return 0;
}

/* Of two who make a session at once, the second must not take the place of the first's. */
static int try_directories(const struct probe *p)
{
	if (mkdirat(p->dir, "dir", 0700) < 0 || mkdirat(p->dir, "dir/in", 0700) < 0 ||
	    mkdirat(p->dir, "dir2", 0700) < 0)
		return lacks(p, errno, "a directory can't be made");
	if (renameat(p->dir, "dir2", p->dir, "dir") == 0 || (errno != EEXIST && errno != ENOTEMPTY))
		return lacks(p, 0, "rename replaces a directory that has something in it");
	if (renameat(p->dir, "dir", p->dir, "dir3") < 0)
		return lacks(p, errno, "a directory can't be renamed");
	if (!exists(p, "dir3/in") || exists(p, "dir"))
		return lacks(p, 0, "a directory is not renamed whole");
	if (fsync(p->dir) < 0)
		return lacks(p, errno, "a directory can't be synced");
	return 0;
}

static int (*const tries[])(const struct probe *p) = {try_exclusive, try_mode,  try_case,       try_link,
						      try_replace,   try_owner, try_directories};

/* Everything that is made above, in an order in which it can be removed. */
static void clear(const struct probe *p)
{
	const char *const files[] = {"file", "link", "new"};
	const char *const dirs[] = {"dir/in", "dir3/in", "dir", "dir2", "dir3"};
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlinkat(p->dir, files[i], 0);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		unlinkat(p->dir, dirs[i], AT_REMOVEDIR);
}

int probe_filesystem(int dirfd, char *why, size_t why_len)
{
	char name[TEMP_NAME_MAX];
	struct probe p = {.why = why, .why_len = why_len};
	temp_name(name);
	if (mkdirat(dirfd, name, 0700) < 0)
		return says_nothing(errno) ? 0 : lacks(&p, errno, "a directory can't be made");
	_cleanup_close_ int dir = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = dir < 0 ? lacks(&p, errno, "a directory can't be opened") : 0;
	p.dir = dir;
	if (!r)
		r = put(&p, "file", "old");
	for (size_t i = 0; !r && i < ARRAY_LEN(tries); i++)
		r = tries[i](&p);
	if (dir >= 0)
		clear(&p);
	unlinkat(dirfd, name, AT_REMOVEDIR);
	return says_nothing(-r) ? 0 : r;
}
