/* SPDX-License-Identifier: MIT */
/*
 * A session token: PASETO v4.public whose payload carries our claims. This is the whole of what the rest of the
 * project knows of tokens; paseto, paserk, claims and rfc3339 are its parts.
 *
 * Pure: no fds, no clock (time is an argument, Unix seconds UTC), no logging, no globals. Thread-safe after
 * sodium_init() and json_object_seed(0), which the program's main calls.
 *
 * Order of work in token_verify(), which no fault can change: size, header, base64url, footer's kid, key, signature,
 * and only then a parser sees the payload. Every fault is one enum value, exact for the audit; the caller of the
 * filesystem learns only the errno of token_fault_errno().
 */
#ifndef SESSIONFS_TOKEN_H
#define SESSIONFS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "claims.h"
#include "paserk.h"

#define TOKEN_MAX 4096 /* bytes of a token's text */

enum token_fault {
	TOKEN_OK = 0,
	TOKEN_TOO_LONG,
	TOKEN_BAD_HEADER,   /* not v4.public. */
	TOKEN_BAD_ENCODING, /* base64url: padding, trailing bits, other alphabet, wrong number of parts */
	TOKEN_BAD_FOOTER,   /* no footer, not a JSON object, no kid, kid not k4.pid.… */
	TOKEN_UNKNOWN_KEY,
	TOKEN_BAD_SIGNATURE,
	TOKEN_BAD_JSON,  /* payload: not one object, duplicate keys, invalid UTF-8, NUL */
	TOKEN_BAD_CLAIM, /* a required claim is missing or has the wrong type or form */
	TOKEN_BAD_AUDIENCE,
	TOKEN_NOT_YET_VALID, /* nbf or iat in the future by more than the leeway */
	TOKEN_LIFETIME,      /* exp <= iat, or exp - iat over the maximum */
	TOKEN_EXPIRED,       /* genuine in every other respect */
};
#define TOKEN_FAULTS (TOKEN_EXPIRED + 1)

struct token_rules {
	const char *audience; /* required */
	int64_t leeway;       /* seconds, for iat and nbf alone */
	int64_t max_lifetime; /* seconds; 0 is no maximum */
};

/*
 * Finds the trusted public key for a kid ("k4.pid.…", NUL-terminated). Returns 0 and copies the key, or -ENOENT.
 */
typedef int token_key_fn(void *ctx, const char *kid, uint8_t key[static PASERK_PUBLIC_LEN]);

/*
 * Verifies len bytes of token at time now. On TOKEN_OK and TOKEN_EXPIRED *claims is filled (the audit wants to know
 * whose token expired); on any other fault it is untouched.
 */
enum token_fault token_verify(const char *token, size_t len, const struct token_rules *rules, int64_t now,
			      token_key_fn *find_key, void *ctx, struct claims *claims);

/*
 * The part of token_verify() that time decides: TOKEN_OK, TOKEN_LIFETIME, TOKEN_NOT_YET_VALID or TOKEN_EXPIRED. For
 * claims that were verified before. A token is expired from the second exp on.
 */
enum token_fault token_check_times(const struct claims *claims, const struct token_rules *rules, int64_t now);

/* TOKEN_OK 0, TOKEN_EXPIRED -EKEYEXPIRED, everything else -EKEYREJECTED. */
int token_fault_errno(enum token_fault fault);

/* A short lower-case word for the audit: "bad-signature". Never NULL. */
const char *token_fault_name(enum token_fault fault);

/*
 * Signs claims with a secret key and writes a NUL-terminated token of at most TOKEN_MAX bytes to buf. extra is NULL
 * or the text of a JSON object of additional claims (it may not name a claim of ours). The footer is
 * {"kid":"k4.pid.…"} of the secret's public half. Returns 0; -EINVAL if claims are not ones that token_verify would
 * accept in form, -EMSGSIZE if the token would be too long.
 */
int token_mint(const struct claims *claims, const char *extra, const uint8_t secret[static PASERK_SECRET_LEN],
	       char buf[static TOKEN_MAX + 1]);

#endif
