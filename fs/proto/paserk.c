/* SPDX-License-Identifier: MIT */
#include "paserk.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base64url.h"

#define PUBLIC_PREFIX "k4.public."
#define SECRET_PREFIX "k4.secret."
#define ID_PREFIX "k4.pid."
#define ID_LEN 33 /* BLAKE2b-264 */

/* A prefix followed by exactly size bytes in base64url. */
static int decode(const char *prefix, const char *text, size_t len, uint8_t *key, size_t size)
{
	size_t skip = strlen(prefix), n;

	if (len != skip + BASE64URL_LEN(size) || memcmp(text, prefix, skip) != 0)
		return -EINVAL;
	return base64url_decode(text + skip, len - skip, key, size, &n);
}

int paserk_decode_public(const char *text, size_t len, uint8_t key[static PASERK_PUBLIC_LEN])
{
	uint8_t raw[PASERK_PUBLIC_LEN];

	int r = decode(PUBLIC_PREFIX, text, len, raw, sizeof(raw));
	if (r == 0)
		memcpy(key, raw, sizeof(raw));
	return r;
}

int paserk_decode_secret(const char *text, size_t len, uint8_t key[static PASERK_SECRET_LEN])
{
	uint8_t raw[PASERK_SECRET_LEN], pair[PASERK_SECRET_LEN], public[PASERK_PUBLIC_LEN];

	int r = decode(SECRET_PREFIX, text, len, raw, sizeof(raw));
	if (r == 0) {
		/* A foreign public half would make signatures that give the seed away. */
		crypto_sign_seed_keypair(public, pair, raw);
		if (sodium_memcmp(raw, pair, sizeof(raw)) == 0)
			memcpy(key, raw, sizeof(raw));
		else
			r = -EINVAL;
	}
	sodium_memzero(raw, sizeof(raw));
	sodium_memzero(pair, sizeof(pair));
	return r;
}

static void encode(const char *prefix, const uint8_t *key, size_t size, char *text)
{
	size_t skip = strlen(prefix);

	memcpy(text, prefix, skip);
	base64url_encode(key, size, text + skip);
}

void paserk_encode_public(const uint8_t key[static PASERK_PUBLIC_LEN], char text[static PASERK_PUBLIC_TEXT_LEN + 1])
{
	encode(PUBLIC_PREFIX, key, PASERK_PUBLIC_LEN, text);
}

void paserk_encode_secret(const uint8_t key[static PASERK_SECRET_LEN], char text[static PASERK_SECRET_TEXT_LEN + 1])
{
	encode(SECRET_PREFIX, key, PASERK_SECRET_LEN, text);
}

void paserk_id(const uint8_t key[static PASERK_PUBLIC_LEN], char text[static PASERK_ID_TEXT_LEN + 1])
{
	char public[PASERK_PUBLIC_TEXT_LEN + 1];
	uint8_t hash[ID_LEN];
	crypto_generichash_state h;

	paserk_encode_public(key, public);
	crypto_generichash_init(&h, NULL, 0, sizeof(hash));
	crypto_generichash_update(&h, (const uint8_t *)ID_PREFIX, strlen(ID_PREFIX));
	crypto_generichash_update(&h, (const uint8_t *)public, PASERK_PUBLIC_TEXT_LEN);
	crypto_generichash_final(&h, hash, sizeof(hash));
	encode(ID_PREFIX, hash, sizeof(hash), text);
}

bool paserk_id_valid(const char *text, size_t len)
{
	uint8_t hash[ID_LEN];

	return decode(ID_PREFIX, text, len, hash, sizeof(hash)) == 0;
}

bool paserk_public_admissible(const uint8_t key[static PASERK_PUBLIC_LEN])
{
	return crypto_core_ed25519_is_valid_point(key) == 1;
}
