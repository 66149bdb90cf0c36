/* SPDX-License-Identifier: MIT */
/*
 * PASETO v4.public: Ed25519 over PAE(header, payload, footer, implicit assertion). The envelope alone: what payload and
 * footer mean is not known here, and nothing of the payload may be used before paseto_verify() says true. Pure.
 *
 *     token = "v4.public." base64url(payload || signature) [ "." base64url(footer) ]
 */
#ifndef SESSIONFS_PASETO_H
#define SESSIONFS_PASETO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "paserk.h"

#define PASETO_MAX 8192 /* bytes of payload, footer and implicit assertion together; no allocation, so a bound */

struct bytes {
	const void *p; /* borrowed; NULL when len is 0 */
	size_t len;
};

/* A token taken apart, pointing into the buffer that paseto_split() was given. */
struct paseto {
	struct bytes payload; /* unauthenticated until paseto_verify() */
	struct bytes footer;  /* the same */
	const uint8_t *signature;
};

/*
 * Decodes len bytes of token into buf, which has room for len bytes. 0; -EPROTO when it is not v4.public;
 * -EINVAL for its encoding: base64url, too short for a signature, an empty footer after a dot, more parts.
 */
int paseto_split(const char *token, size_t len, uint8_t *buf, struct paseto *ret);

/*
 * Whether the key signed it. Refuses non-canonical signatures and keys, and points of small order; a key that is only
 * partly in the subgroup is refused when it is loaded (paserk_public_admissible).
 */
bool paseto_verify(const struct paseto *p, struct bytes implicit, const uint8_t key[static PASERK_PUBLIC_LEN]);

/* Writes a NUL-terminated token to buf of size bytes. 0, or -EMSGSIZE. */
int paseto_sign(struct bytes payload, struct bytes footer, struct bytes implicit,
		const uint8_t secret[static PASERK_SECRET_LEN], char *buf, size_t size);

#endif
