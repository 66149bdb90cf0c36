/* SPDX-License-Identifier: MIT */
/*
 * Whatever the bytes are, they are tried as a token, a payload, a footer, a key and a time. What must hold:
 * no token is accepted without a signature, and whatever is accepted can be written and read again unchanged.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "proto/claims.h"
#include "proto/paserk.h"
#include "proto/paseto.h"
#include "proto/rfc3339.h"
#include "proto/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t seed[32] = {1};

#define must(cond) \
	do { \
		if (!(cond)) \
			abort(); \
	} while (0)

static int find_key(void *ctx, const char *kid, uint8_t key[static PASERK_PUBLIC_LEN])
{
	uint8_t secret[PASERK_SECRET_LEN];

	(void)ctx;
	(void)kid; /* any will do: the fuzzer can't guess one */
	crypto_sign_seed_keypair(key, secret, seed);
	return 0;
}

static void as_token(const char *s, size_t len)
{
	static const struct token_rules rules = {"sessionfs", 30, 0};
	struct claims c;

	must(token_verify(s, len, &rules, 1768478400, find_key, NULL, &c) != TOKEN_OK);
}

static void as_payload(const char *s, size_t len)
{
	struct claims c, again;
	char *json;
	size_t n;

	if (claims_parse(s, len, &c) != CLAIMS_OK)
		return;
	must(sub_valid(c.sub, strlen(c.sub)) && sid_valid(c.sid, strlen(c.sid)) && c.aud[0]);
	if (claims_format(&c, NULL, &json, &n))
		return; /* a fraction rounded up to the year 10000 */
	must(claims_parse(json, n, &again) == CLAIMS_OK && memcmp(&c, &again, sizeof(c)) == 0);
	free(json);
}

static void as_key(const char *s, size_t len)
{
	char text[PASERK_PUBLIC_TEXT_LEN + 1], kid[KID_LEN + 1];
	uint8_t key[PASERK_SECRET_LEN];

	if (paserk_decode_public(s, len, key) == 0) {
		paserk_encode_public(key, text);
		must(len == strlen(text) && memcmp(s, text, len) == 0); /* one spelling */
		(void)paserk_public_admissible(key);
	}
	(void)paserk_decode_secret(s, len, key);
	if (claims_footer_kid(s, len, kid) == 0)
		must(strlen(kid) == KID_LEN);
}

static void as_time(const char *s, size_t len)
{
	char text[RFC3339_LEN + 1];
	int64_t sec, again;
	uint32_t nsec;

	if (rfc3339_parse(s, len, &sec, &nsec))
		return;
	must(nsec < 1000000000 && rfc3339_format(sec, text) == 0);
	must(rfc3339_parse(text, RFC3339_LEN, &again, &nsec) == 0 && again == sec && nsec == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;

	as_token(s, size);
	if (size > 0) {
		as_payload(s, size);
		as_key(s, size);
		as_time(s, size);
	}
	return 0;
}
