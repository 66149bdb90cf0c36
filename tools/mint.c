/* SPDX-License-Identifier: MIT */
/* The client library: tokens. */
#include <jansson.h>
#include <sodium.h>
#include <time.h>

#include "proto/token.h"
#include "secret.h"
#include "sessionfs.h"
#include "util.h"

#define DEFAULT_AUDIENCE "sessionfs"
#define TTL_MAX INT64_C(253402300799) /* the last second of 9999: what no sum overflows with */

static void cleanup_sodium(void *pp)
{
	sodium_free(steal_ptr_(pp));
}

static int fail(int r, const char **reason, const char *why)
{
	*reason = why;
	return r;
}

/* A claim that may be absent, "" then. */
static int copy_claim(char dst[static CLAIM_MAX + 1], const char *value, const char **reason, const char *why)
{
	if (value && (value[0] == '\0' || strlen(value) > CLAIM_MAX))
		return fail(-EINVAL, reason, why);
	snprintf(dst, CLAIM_MAX + 1, "%s", value ? value : "");
	return 0;
}

/* In hex, since base64url may begin with a '-', which every program that takes a sid would trip over. */
static void random_sid(char sid[static SID_MAX + 1])
{
	uint8_t random[16];

	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(sid, SID_MAX + 1, random, sizeof(random));
}

static int fill(const struct sessionfs_claims *in, struct claims *c, const char **reason)
{
	if (!in->sub || !sub_valid(in->sub, strlen(in->sub)))
		return fail(-EINVAL, reason, "sub: must be 1 to 255 bytes of UTF-8 without control characters");
	snprintf(c->sub, sizeof(c->sub), "%s", in->sub);
	if (in->sid && !sid_valid(in->sid, strlen(in->sid)))
		return fail(-EINVAL, reason,
			    "sid: must be 1 to 128 of A-Z a-z 0-9 . _ -, not starting with . or ~, "
			    "and not \"self\"");
	if (in->sid)
		snprintf(c->sid, sizeof(c->sid), "%s", in->sid);
	else
		random_sid(c->sid);
	int r = copy_claim(c->aud, in->aud ? in->aud : DEFAULT_AUDIENCE, reason, "aud: must have 1 to 255 bytes");
	if (!r)
		r = copy_claim(c->jti, in->jti, reason, "jti: must have 1 to 255 bytes");
	if (!r)
		r = copy_claim(c->iss, in->iss, reason, "iss: must have 1 to 255 bytes");
	if (r)
		return r;
	if (in->ttl < 0 || in->ttl > TTL_MAX)
		return fail(-EINVAL, reason, "ttl: must be 1 second or more, and end before the year 10000");
	c->iat = time(NULL);
	c->exp = c->iat + (in->ttl ? in->ttl : SESSIONFS_TTL);
	c->nbf = in->nbf ? in->nbf : INT64_MIN;
	return 0;
}

int sessionfs_mint(const char *key_file, const struct sessionfs_claims *claims, char **token, const char **reason)
{
	_cleanup_(cleanup_sodium) uint8_t *secret = NULL;
	char text[TOKEN_MAX + 1];
	struct claims c;
	const char *why;

	if (!reason)
		reason = &why;
	if (sodium_init() < 0)
		return fail(-ENOSYS, reason, "libsodium does not start");
	json_object_seed(0);
	int r = fill(claims, &c, reason);
	if (!r)
		r = secret_read(key_file, &secret, reason);
	if (r)
		return r;
	r = token_mint(&c, claims->extra, secret, text);
	if (r == -EMSGSIZE)
		return fail(r, reason, "the token would be longer than 4096 bytes");
	if (r)
		return fail(r, reason, "a claim is not UTF-8 or not JSON, or the token ends after the year 9999");
	char *copy = strdup(text);
	explicit_bzero(text, sizeof(text));
	if (!copy)
		return fail(-ENOMEM, reason, strerrordesc_np(ENOMEM));
	*token = copy;
	return 0;
}
