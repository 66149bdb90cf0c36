/* SPDX-License-Identifier: MIT */
/*
 * Whole directory trees, which users have made: any depth, any names, any modes, changing while we look.
 *
 * Symbolic links are never followed. Three descriptors and no recursion, however deep a tree is; memory for the names
 * of the directories that are still to be seen.
 */
#ifndef SESSIONFS_TREE_H
#define SESSIONFS_TREE_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

/* An owned descriptor of a directory below dirfd, which may be O_PATH; -EUCLEAN where it is none, or a link; -errno. */
int tree_open(int dirfd, const char *name);

/* A stream of its own for a directory below dirfd, which may be O_PATH; "." is dirfd itself. */
int tree_opendir(int dirfd, const char *name, DIR **ret);

/* For names that readdir() gives. */
static inline int tree_is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/*
 * Counts what is below dirfd: all names, and the sizes of regular files; a file with several links at each of them.
 * What goes away meanwhile is passed over. With pace it rests for a moment after some hundred
 * names. -EAGAIN where a directory was moved while we were in it: count again. -E2BIG where there are more than `most`
 * names, unless that is 0.
 */
int tree_usage(int dirfd, bool pace, uint64_t most, uint64_t *files, uint64_t *bytes);

/*
 * Empties the directory dirfd, which must be the daemon's alone. A directory that is not empty moves up into dirfd,
 * under a temporary name, until there is no depth left: so nothing is open but one directory of the tree, and what is
 * done stays done. At most budget entries are deleted or moved. 1 when there is more, 0 when dirfd is empty, -errno
 * of what could not be deleted, all else being gone.
 */
int tree_empty(int dirfd, unsigned budget);

#endif
