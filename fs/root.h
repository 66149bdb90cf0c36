/* SPDX-License-Identifier: MIT */
/*
 * The top of the mount: the caller's own <sid>, its handles, `self` and .sessionfs, and nothing else.
 *
 * Nothing can be made here but the caller's own <sid>, again, after it was removed; nothing can be renamed.
 */
#ifndef SESSIONFS_ROOT_H
#define SESSIONFS_ROOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fs;
struct request;
struct session;

/* Whether a session's owner has removed its <sid>, here or, with cache = shared, through another instance. */
bool root_is_bare(const struct fs *fs, const struct session *s);

/* Each replies. */
void root_lookup(struct request *r, const char *name);
void root_mkdir(struct request *r, const char *name, mode_t mode);
void root_rmdir(struct request *r, const char *name);

/*
 * The errno for any other change of a name in the root: -EBUSY for <sid>, -EPERM for self and .sessionfs, else the
 * refusal. Audited.
 */
int root_refusal(struct request *r, const char *name);

/*
 * The i-th name that the caller sees in directory ino (the root or .sessionfs) with its number and type; NULL after
 * the last.
 */
const char *root_entry(struct request *r, size_t i, uint64_t *ino, mode_t *type);

#endif
