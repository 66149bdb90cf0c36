/* SPDX-License-Identifier: MIT */
#include "ended.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "durable.h"
#include "proto/sid.h"
#include "tree.h"

#define ENDED_AGE 3600 /* seconds: far more than anybody takes to look */

int ended_tell(int store, const char *name)
{
	char temp[TEMP_NAME_MAX], path[sizeof(ENDED_DIR) + SID_HASH_LEN + TEMP_NAME_MAX];
	temp_name(temp);
	snprintf(path, sizeof(path), ENDED_DIR "/%.*s%s", SID_HASH_LEN, name, temp);
	_cleanup_close_ int fd = openat(store, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* It need not outlive a crash, and so is not synced; but the close tells of a server that did not take it. */
	return fd < 0 || close(steal_fd(&fd)) < 0 ? -errno : 0;
}

int ended_each(int store, void (*heard)(const char *name, void *ctx), void *ctx)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(store, ENDED_DIR, &d);
	if (r < 0)
		return r;
	const struct dirent *e;
	while (errno = 0, (e = readdir(d))) {
		char name[SID_HASH_LEN + 1];
		if (strspn(e->d_name, "0123456789abcdef") != SID_HASH_LEN || e->d_name[SID_HASH_LEN] != '.')
			continue;
		memcpy(name, e->d_name, SID_HASH_LEN);
		name[SID_HASH_LEN] = '\0';
		heard(name, ctx);
	}
	return -errno;
}

int ended_sweep(int store, unsigned budget)
{
	_cleanup_closedir_ DIR *d = NULL;
	int r = tree_opendir(store, ENDED_DIR, &d);
	if (r < 0)
		return r;
	const struct dirent *e;
	while (budget > 0 && (errno = 0, (e = readdir(d)))) {
		struct stat st;
		if (tree_is_dots(e->d_name))
			continue;
		budget--;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || time(NULL) - st.st_mtime < ENDED_AGE)
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0 && errno != ENOENT) /* another instance sweeps too */
			r = -errno;
	}
	return r;
}
