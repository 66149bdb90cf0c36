/* SPDX-License-Identifier: MIT */
/*
 * The issuer's secret key, from its file and from nowhere else: never an argument, never the environment.
 *
 * The file is one k4.secret line; a regular file (no symlink), owned by the caller or root, that nobody else can read.
 * The key and its text live in sodium_malloc memory: locked where the limits allow, left out of core dumps, wiped when
 * freed. sodium_init() comes first.
 */
#ifndef SESSIONFS_SECRET_H
#define SESSIONFS_SECRET_H

#include <stdint.h>

#include "proto/paserk.h"

/*
 * 0 and PASERK_SECRET_LEN bytes (owned; sodium_free() them), or -errno and a reason (static text) that does not name
 * the file: -EPERM for its owner and mode, -ELOOP a symbolic link, -EBADMSG what is in it.
 */
int secret_read(const char *path, uint8_t **ret, const char **reason);

#endif
