/* SPDX-License-Identifier: MIT */
/*
 * Cleanup helpers and small things that every file may use. Header only, no state.
 *
 * A variable marked _cleanup_x_ releases what it holds when it leaves its scope. To hand the resource on,
 * return it through steal_fd() or steal_ptr(), which leave nothing behind to release.
 */
#ifndef SESSIONFS_UTIL_H
#define SESSIONFS_UTIL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Closes fd unless it is negative; keeps errno; returns -1, to be assigned back. */
static inline int close_fd(int fd)
{
	if (fd >= 0) {
		int saved = errno;
		close(fd);
		errno = saved;
	}
	return -1;
}

static inline int steal_fd(int *fd)
{
	int ret = *fd;
	*fd = -1;
	return ret;
}

static inline void *steal_ptr_(void *pp)
{
	void *p;
	memcpy(&p, pp, sizeof(p));
	memset(pp, 0, sizeof(p));
	return p;
}
#define steal_ptr(pp) ((__typeof__(*(pp)))steal_ptr_(pp))

static inline void cleanup_close(int *fd)
{
	close_fd(*fd);
}

static inline void cleanup_free(void *pp)
{
	free(steal_ptr_(pp));
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

#endif
