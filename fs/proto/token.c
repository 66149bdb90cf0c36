/* SPDX-License-Identifier: MIT */
#include "token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../util.h"
#include "paseto.h"

#define NO_ASSERTION ((struct bytes){NULL, 0})

enum token_fault token_check_times(const struct claims *c, const struct token_rules *rules, int64_t now)
{
	if (c->exp <= c->iat || (rules->max_lifetime > 0 && c->exp - c->iat > rules->max_lifetime))
		return TOKEN_LIFETIME;
	if (c->iat > now + rules->leeway || c->nbf > now + rules->leeway)
		return TOKEN_NOT_YET_VALID;
	return now >= c->exp ? TOKEN_EXPIRED : TOKEN_OK;
}

enum token_fault token_verify(const char *token, size_t len, const struct token_rules *rules, int64_t now,
			      token_key_fn *find_key, void *ctx, struct claims *claims)
{
	uint8_t buf[TOKEN_MAX], key[PASERK_PUBLIC_LEN];
	char kid[KID_LEN + 1];
	struct paseto p;
	struct claims c;

	if (len > TOKEN_MAX)
		return TOKEN_TOO_LONG;
	int r = paseto_split(token, len, buf, &p);
	if (r)
		return r == -EPROTO ? TOKEN_BAD_HEADER : TOKEN_BAD_ENCODING;
	/* The one thing read before the signature is checked: it says which key to check with. */
	if (claims_footer_kid(p.footer.p, p.footer.len, kid))
		return TOKEN_BAD_FOOTER;
	if (find_key(ctx, kid, key))
		return TOKEN_UNKNOWN_KEY;
	if (!paseto_verify(&p, NO_ASSERTION, key))
		return TOKEN_BAD_SIGNATURE;

	switch (claims_parse(p.payload.p, p.payload.len, &c)) {
	case CLAIMS_OK: break;
	case CLAIMS_BAD_JSON: return TOKEN_BAD_JSON;
	case CLAIMS_BAD_CLAIM: return TOKEN_BAD_CLAIM;
	}
	if (strcmp(c.aud, rules->audience) != 0)
		return TOKEN_BAD_AUDIENCE;
	enum token_fault fault = token_check_times(&c, rules, now);
	if (fault == TOKEN_OK || fault == TOKEN_EXPIRED)
		*claims = c;
	return fault;
}

int token_fault_errno(enum token_fault fault)
{
	return fault == TOKEN_OK ? 0 : fault == TOKEN_EXPIRED ? -EKEYEXPIRED : -EKEYREJECTED;
}

const char *token_fault_name(enum token_fault fault)
{
	switch (fault) {
	case TOKEN_OK: return "ok";
	case TOKEN_TOO_LONG: return "too-long";
	case TOKEN_BAD_HEADER: return "bad-header";
	case TOKEN_BAD_ENCODING: return "bad-encoding";
	case TOKEN_BAD_FOOTER: return "bad-footer";
	case TOKEN_UNKNOWN_KEY: return "unknown-key";
	case TOKEN_BAD_SIGNATURE: return "bad-signature";
	case TOKEN_BAD_JSON: return "bad-json";
	case TOKEN_BAD_CLAIM: return "bad-claim";
	case TOKEN_BAD_AUDIENCE: return "bad-audience";
	case TOKEN_NOT_YET_VALID: return "not-yet-valid";
	case TOKEN_LIFETIME: return "bad-lifetime";
	case TOKEN_EXPIRED: return "expired";
	}
	return "unknown-fault";
}

int token_mint(const struct claims *claims, const char *extra, const uint8_t secret[static PASERK_SECRET_LEN],
	       char buf[static TOKEN_MAX + 1])
{
	_cleanup_free_ char *payload = NULL;
	char kid[KID_LEN + 1], footer[sizeof("{\"kid\":\"\"}") + KID_LEN];
	size_t len;

	if (claims->exp <= claims->iat)
		return -EINVAL;
	int r = claims_format(claims, extra, &payload, &len);
	if (r)
		return r;
	paserk_id(secret + PASERK_SECRET_LEN - PASERK_PUBLIC_LEN, kid);
	int n = snprintf(footer, sizeof(footer), "{\"kid\":\"%s\"}", kid);
	return paseto_sign((struct bytes){payload, len}, (struct bytes){footer, (size_t)n}, NO_ASSERTION, secret, buf,
			   TOKEN_MAX + 1);
}
