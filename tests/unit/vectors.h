/* SPDX-License-Identifier: MIT */
/* The official vectors, from tests/vectors under the current directory or from $SESSIONFS_VECTORS. Dies if it can't. */
#ifndef SESSIONFS_VECTORS_H
#define SESSIONFS_VECTORS_H

#include <jansson.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file's list of tests; the caller owns the document, *doc. */
static inline json_t *vectors_load(const char *name, json_t **doc)
{
	const char *dir = getenv("SESSIONFS_VECTORS");
	char path[4096];
	json_error_t e;

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : "tests/vectors", name);
	*doc = json_load_file(path, 0, &e);
	json_t *tests = json_object_get(*doc, "tests");
	if (json_array_size(tests) == 0) {
		printf("Bail out! %s: %s\n", path, *doc ? "no tests" : e.text);
		exit(1);
	}
	return tests;
}

/* A member's text, NULL when it is absent or null. */
static inline const char *vector_str(const json_t *test, const char *member)
{
	return json_string_value(json_object_get(test, member));
}

/* A member's hex as at most cap bytes; how many, 0 when it does not fit. */
static inline size_t vector_hex(const json_t *test, const char *member, uint8_t *buf, size_t cap)
{
	const char *hex = vector_str(test, member);
	size_t n = 0;

	return hex && sodium_hex2bin(buf, cap, hex, strlen(hex), NULL, &n, NULL) == 0 ? n : 0;
}

#endif
