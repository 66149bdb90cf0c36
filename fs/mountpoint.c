/* SPDX-License-Identifier: MIT */
#include "mountpoint.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "util.h"

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0' || n == 1);
}

bool mountpoint_hides(const char *mountpoint, const char *path)
{
	char real[PATH_MAX], dir[PATH_MAX];
	if (path[0] != '/')
		return false;
	/* A file that is not there yet lies where its directory does. */
	snprintf(dir, sizeof(dir), "%s", path);
	if (!realpath(dir, real)) {
		*(strrchr(dir, '/') + 1) = '\0';
		if (!realpath(dir, real))
			return is_below(path, mountpoint);
	}
	return is_below(real, mountpoint);
}

/* How many entries, counted up to one; -errno. */
static int entries(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	int n = 0;
	while (n < 3 && readdir(dir))
		n++;
	closedir(dir);
	return n > 2; /* "." and ".." */
}

/* Bind mounts of the same filesystem too, which st_dev does not tell. Linux 5.8. */
static bool is_mounted(const char *path)
{
	struct statx st;
	return statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0, &st) == 0 &&
	       st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

__attribute__((format(printf, 4, 5))) static int say(int err, char *why, size_t len, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
	return err;
}

int mountpoint_check(const char *path, const char *store, char *resolved, size_t resolved_len, char *why,
		     size_t why_len)
{
	struct statx st;
	char real[PATH_MAX];
	/* Not what the kernel remembers of a mount that may be dead. */
	if (statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_TYPE, &st) < 0) {
		int err = -errno;
		if (err == -ENOTCONN)
			return say(err, why, why_len,
				   "%s: left mounted by a daemon that is gone: clear it with 'umount -l %s'%s", path,
				   path, geteuid() ? " or 'fusermount3 -uz'" : "");
		return say(err, why, why_len, "%s: %s", path, strerror(-err));
	}
	if (!S_ISDIR(st.stx_mode))
		return say(-ENOTDIR, why, why_len, "%s: not a directory", path);
	if (!realpath(path, real)) {
		int err = -errno;
		return say(err, why, why_len, "%s: %s", path, strerror(-err));
	}
	if (is_below(real, store))
		return say(-EINVAL, why, why_len, "%s: the mountpoint lies inside the store %s", path, store);
	if (is_below(store, real))
		return say(-EINVAL, why, why_len, "%s: the store %s lies inside the mountpoint", path, store);
	if (is_mounted(real))
		return say(-EBUSY, why, why_len, "%s: something is mounted there already", path);
	int found = entries(real);
	if (found < 0)
		return say(found, why, why_len, "%s: %s", path, strerror(-found));
	if (found)
		return say(-ENOTEMPTY, why, why_len, "%s: not empty: its files would be hidden below the mount", path);
	if (snprintf(resolved, resolved_len, "%s", real) >= (int)resolved_len)
		return say(-ENAMETOOLONG, why, why_len, "%s: %s", path, strerror(ENAMETOOLONG));
	return 0;
}
