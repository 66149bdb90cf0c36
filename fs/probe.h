/* SPDX-License-Identifier: MIT */
/*
 * Whether a filesystem can hold a store: asked once, at start, before anything of it is used or made.
 *
 * What a store rests on: a rename that replaces, link(2) and O_EXCL that don't, a directory that is not renamed over one
 * that has something in it, fsync of files and directories, modes and owners that are kept, and names in which case counts.
 * Each is tried in a directory of a temporary's name, which is removed again. A number of calls that does not depend on what
 * the store holds.
 *
 * What can't be tried: that a rename is atomic for others who look meanwhile, and that a write survives a crash after fsync.
 * A FUSE filesystem without fsync is answered for by the kernel (0), and is not found out.
 */
#ifndef SESSIONFS_PROBE_H
#define SESSIONFS_PROBE_H

#include <stddef.h>

/*
 * dirfd is the store's directory, which may be O_PATH. 0 when it will do, and where it can't be tried: nothing can be made
 * on a read-only or full filesystem, which was good when the store was made. Else -errno (-EOPNOTSUPP for what was granted
 * and not kept) and in why what is missing, for one line.
 */
int probe_filesystem(int dirfd, char *why, size_t why_len);

#endif
