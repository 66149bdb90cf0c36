/* SPDX-License-Identifier: MIT */
/* A directory for a test to fill: it goes with the process that made it. And what several tests ask of it. */
#ifndef SESSIONFS_SCRATCH_H
#define SESSIONFS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[PATH_MAX];
static pid_t scratch_owner;

static int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void scratch_gone(void)
{
	if (getpid() == scratch_owner)
		nftw(scratch, scratch_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Its O_PATH descriptor; its resolved path is in scratch. */
static inline int scratch_open(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/unit.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(path) || !realpath(path, scratch) || chmod(scratch, 0755) < 0)
		abort();
	scratch_owner = getpid();
	atexit(scratch_gone);
	return open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Makes a file that holds text. */
static inline void scratch_file(int dir, const char *name, mode_t mode, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, mode) < 0)
		abort();
	close(fd);
}

/* For what can't fail in a scratch directory. */
static inline void must(int r)
{
	if (r < 0)
		abort();
}

/* How many descriptors this process has, without the one that looks. */
static inline int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -3; /* ".", ".." and its own */
	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
