/* SPDX-License-Identifier: MIT */
/*
 * The small JSON files and answers of the daemon, on top of jansson: members with a bound and a type, times as RFC
 * 3339, one object and a newline. No fds, no clock. (Tokens have a parser of their own, proto/claims.h.)
 */
#ifndef SESSIONFS_JSON_H
#define SESSIONFS_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

/*
 * All of len bytes as one object without duplicate keys: a reference in *ret. 0; -EUCLEAN for anything else, half an
 * object too; -ENOMEM.
 */
int json_parse_object(const char *text, size_t len, json_t **ret);

/*
 * Members of an object. A missing one is as good as "", 0 or false where `optional`; false for one of another type, too
 * long for its place, or out of range. What is not good leaves *ret as it was.
 */
bool json_get_text(const json_t *o, const char *key, bool optional, char *buf, size_t size);
bool json_get_time(const json_t *o, const char *key, int64_t *ret); /* Unix seconds; always optional */
bool json_get_count(const json_t *o, const char *key, bool optional, uint64_t *ret);
bool json_get_flag(const json_t *o, const char *key, bool *ret); /* always optional */

/* Sets a time; one of 0 is left out. 0, -EINVAL (before year 0 or after 9999) or -ENOMEM. */
int json_set_time(json_t *o, const char *key, int64_t t);

/* A string, or null for 0 and less, or "": for answers, where every key is there. */
json_t *json_time_or_null(int64_t t);
json_t *json_text_or_null(const char *s);

/* One line, owned by the caller, *len bytes without the NUL. o is borrowed, and may be NULL. 0 or -ENOMEM. */
int json_line(const json_t *o, char **ret, size_t *len);

#endif
