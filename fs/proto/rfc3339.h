/* SPDX-License-Identifier: MIT */
/*
 * RFC 3339 times, read by position (strptime takes 30 February and trailing junk). Pure.
 *
 *     YYYY-MM-DD "T" hh:mm:ss [ "." 1*9DIGIT ] ( "Z" / ( "+" / "-" ) hh:mm )
 *
 * Capital T and Z, seconds 00 to 59 (a leap second has no Unix time), not -00:00. Years 1970 to 9999, as written and in
 * UTC, so that whatever is read can be written again.
 */
#ifndef SESSIONFS_RFC3339_H
#define SESSIONFS_RFC3339_H

#include <stddef.h>
#include <stdint.h>

#define RFC3339_LEN 20 /* of "2026-01-31T23:59:59Z" */

/* All of len bytes. 0 and Unix seconds, with the fraction in nsec; or -EINVAL. */
int rfc3339_parse(const char *s, size_t len, int64_t *sec, uint32_t *nsec);

/* Writes t as "2026-01-31T23:59:59Z". 0, or -EINVAL outside the years above. */
int rfc3339_format(int64_t t, char text[static RFC3339_LEN + 1]);

#endif
