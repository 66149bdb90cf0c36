/* SPDX-License-Identifier: MIT */
/*
 * What a token says, as a plain value, and the strict JSON on both sides of it.
 *
 * Required: sub, sid, aud, iat, exp. Optional: nbf, jti, iss, and the names in limits.h: non-negative integers of at most
 * 63 bits, written as such (no 1.0, no 1e3); a token that has one may have no integer of more than 64 bits anywhere.
 * Other claims are ignored, nested ones too; a duplicate
 * key anywhere, a wrong type, invalid UTF-8, an embedded NUL, or bytes after the object are refused.
 */
#ifndef SESSIONFS_CLAIMS_H
#define SESSIONFS_CLAIMS_H

#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "sid.h"

#define SUB_MAX 255   /* bytes of UTF-8 without control characters */
#define CLAIM_MAX 255 /* bytes of aud, jti and iss */

struct claims {
	char sub[SUB_MAX + 1];
	char sid[SID_MAX + 1];
	char aud[CLAIM_MAX + 1];
	char jti[CLAIM_MAX + 1]; /* "" when absent, as is iss */
	char iss[CLAIM_MAX + 1];
	int64_t iat,
		exp; /* Unix seconds, fractions cut off for exp and rounded up for nbf and iat: never in the holder's favour */
	int64_t nbf;          /* INT64_MIN when absent */
	struct limits limits; /* LIMIT_NONE when absent; claims_format() takes them as extra */
};

enum claims_fault { CLAIMS_OK = 0, CLAIMS_BAD_JSON, CLAIMS_BAD_CLAIM };

/* Parses len bytes of a token's payload. *ret is written only on CLAIMS_OK. */
enum claims_fault claims_parse(const char *json, size_t len, struct claims *ret);

/*
 * Writes claims as JSON to *ret (owned by the caller, free()), *len bytes without the NUL; extra as in token_mint().
 * 0, or -EINVAL for claims that claims_parse would not take.
 */
int claims_format(const struct claims *claims, const char *extra, char **ret, size_t *len);

/* Whether s is a sub: 1 to SUB_MAX bytes of valid UTF-8 without control characters (C0, DEL, C1). */
int sub_valid(const char *s, size_t len);

#define KID_LEN 51 /* "k4.pid." + 44 base64url characters of 33 bytes */

/* Takes the kid out of a footer of len bytes: a JSON object whose "kid" is a k4.pid string. 0 or -EINVAL. */
int claims_footer_kid(const char *json, size_t len, char kid[static KID_LEN + 1]);

#endif
