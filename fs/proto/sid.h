/* SPDX-License-Identifier: MIT */
/* A session id: 1 to 128 of A-Z a-z 0-9 . _ -, not starting with . or ~, and not "self". Pure. */
#ifndef SESSIONFS_SID_H
#define SESSIONFS_SID_H

#include <stdbool.h>
#include <stddef.h>

#define SID_MAX 128
#define SID_HASH_LEN 64 /* hex BLAKE2b-256 of the sid: the name of its directory in the store */

bool sid_valid(const char *s, size_t len);

/* The session's name in the store, NUL-terminated lower-case hex. sid must be valid. */
void sid_hash(const char *sid, char name[static SID_HASH_LEN + 1]);

#define RELEASE_MAX 64 /* release ids: 1 to 64 of A-Z a-z 0-9 . _ + - */
bool release_valid(const char *s, size_t len);

#endif
