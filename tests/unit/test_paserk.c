/* SPDX-License-Identifier: MIT */
/*
 * The official vectors for k4.public, k4.secret and k4.pid, then what they leave out. k4.sid is not tested: sessionfs
 * never needs the id of a secret key. "Fail" vectors are keys of a wrong size, which our fixed-size types can't express;
 * their twin is a text of that size, which must be refused.
 */
#include "proto/paserk.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>

#include "proto/base64url.h"
#include "tap.h"
#include "util.h"
#include "vectors.h"

/* prefix || base64url(the vector's key), whatever its size. */
static size_t text_of(const char *prefix, const json_t *test, char *text)
{
	uint8_t key[128];
	size_t n = vector_hex(test, "key", key, sizeof(key));

	strcpy(text, prefix);
	base64url_encode(key, n, text + strlen(prefix));
	return strlen(text);
}

static void test_public(void)
{
	json_t *doc, *tests = vectors_load("k4.public.json", &doc), *t;
	char text[256];
	uint8_t key[PASERK_PUBLIC_LEN], back[PASERK_PUBLIC_LEN];
	size_t i;

	json_array_foreach(tests, i, t)
	{
		const char *name = vector_str(t, "name"), *paserk = vector_str(t, "paserk");
		if (json_is_true(json_object_get(t, "expect-fail"))) {
			size_t len = text_of("k4.public.", t, text);
			is_int(paserk_decode_public(text, len, back), -EINVAL, "%s: a key of another size is refused",
			       name);
			continue;
		}
		size_t n = vector_hex(t, "key", key, sizeof(key));
		paserk_encode_public(key, text);
		is_str(n == sizeof(key) ? text : NULL, paserk, "%s: written", name);
		int r = paserk_decode_public(paserk, strlen(paserk), back);
		ok(r == 0 && memcmp(key, back, sizeof(key)) == 0, "%s: read", name);
	}
	json_decref(doc);
}

static void test_secret(void)
{
	json_t *doc, *tests = vectors_load("k4.secret.json", &doc), *t;
	char text[256];
	uint8_t key[PASERK_SECRET_LEN], back[PASERK_SECRET_LEN];
	size_t i;

	json_array_foreach(tests, i, t)
	{
		const char *name = vector_str(t, "name"), *paserk = vector_str(t, "paserk");
		if (json_is_true(json_object_get(t, "expect-fail"))) {
			size_t len = text_of("k4.secret.", t, text);
			is_int(paserk_decode_secret(text, len, back), -EINVAL, "%s: a key of another size is refused",
			       name);
			continue;
		}
		size_t n = vector_hex(t, "key", key, sizeof(key));
		paserk_encode_secret(key, text);
		is_str(n == sizeof(key) ? text : NULL, paserk, "%s: written", name);
		int r = paserk_decode_secret(paserk, strlen(paserk), back);
		ok(r == 0 && memcmp(key, back, sizeof(key)) == 0, "%s: read", name);

		key[PASERK_SECRET_LEN - 1] ^= 1;
		paserk_encode_secret(key, text);
		memset(back, 0, sizeof(back));
		r = paserk_decode_secret(text, strlen(text), back);
		ok(r == -EINVAL && sodium_is_zero(back, sizeof(back)), "%s: a public half of another seed is refused",
		   name);
	}
	json_decref(doc);
}

static void test_pid(void)
{
	json_t *doc, *tests = vectors_load("k4.pid.json", &doc), *t;
	char text[256];
	uint8_t key[PASERK_PUBLIC_LEN];
	size_t i;

	json_array_foreach(tests, i, t)
	{
		const char *name = vector_str(t, "name");
		if (json_is_true(json_object_get(t, "expect-fail"))) {
			size_t len = text_of("k4.public.", t, text);
			is_int(paserk_decode_public(text, len, key), -EINVAL, "%s: its key is never read", name);
			continue;
		}
		size_t n = vector_hex(t, "key", key, sizeof(key));
		paserk_id(key, text);
		is_str(n == sizeof(key) ? text : NULL, vector_str(t, "paserk"), "%s: the id", name);
		ok(paserk_id_valid(text, strlen(text)), "%s: is an id in form", name);
	}
	json_decref(doc);
}

#define PUBLIC_2 "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8"
#define PID_1 "k4.pid.S_XQmeEwHbbvRmiyfXfHYpLGjXGzjTRSDoT1YtTakWFE"

static const struct {
	const char *why, *text;
} refused[] = {
	{"version 3", "k3.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8"},
	{"version 2", "k2.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8"},
	{"a secret key's prefix", "k4.secret.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8"},
	{"capitals in the prefix", "K4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8"},
	{"padding", PUBLIC_2 "="},
	{"a newline", PUBLIC_2 "\n"},
	{"trailing bits", "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo9"},
	{"the standard alphabet", "k4.public.cHFyc3R1dnd4eXp7fH1+f4CBgoOEhYaHiImKi4yNjo8"},
	{"a character less", "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo"},
	{"the prefix alone", "k4.public."},
	{"nothing", ""},
};

/* Keys that no daemon may trust: whoever knows how makes signatures that verify under them. */
static const struct {
	const char *why, *hex;
} inadmissible[] = {
	{"the identity", "0100000000000000000000000000000000000000000000000000000000000000"},
	{"a point of order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{"a point of order 4", "0000000000000000000000000000000000000000000000000000000000000000"},
	{"a point of order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"},
	{"a y over the prime", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{"no point of the curve (k4.public-2)", "707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f"},
};

int main(void)
{
	uint8_t key[PASERK_PUBLIC_LEN], public[PASERK_PUBLIC_LEN], secret[PASERK_SECRET_LEN], mixed[PASERK_PUBLIC_LEN];
	uint8_t order8[PASERK_PUBLIC_LEN];

	if (sodium_init() < 0)
		return 1;
	test_public();
	test_secret();
	test_pid();
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		memset(key, 0xaa, sizeof(key));
		int r = paserk_decode_public(refused[i].text, strlen(refused[i].text), key);
		ok(r == -EINVAL && key[0] == 0xaa && key[31] == 0xaa, "k4.public with %s is refused", refused[i].why);
	}
	ok(!paserk_id_valid(PID_1, strlen(PID_1) - 1) && !paserk_id_valid(PID_1 "A", strlen(PID_1) + 1) &&
		   !paserk_id_valid("k4.sid.S_XQmeEwHbbvRmiyfXfHYpLGjXGzjTRSDoT1YtTakWFE", strlen(PID_1)) &&
		   !paserk_id_valid("k4.pid.S+XQmeEwHbbvRmiyfXfHYpLGjXGzjTRSDoT1YtTakWFE", strlen(PID_1)),
	   "a k4.pid that is short, long, a k4.sid or in the wrong alphabet is refused");

	crypto_sign_keypair(public, secret);
	ok(paserk_public_admissible(public), "a fresh key is admissible");
	for (size_t i = 0; i < ARRAY_LEN(inadmissible); i++) {
		size_t n = 0;
		sodium_hex2bin(key, sizeof(key), inadmissible[i].hex, 64, NULL, &n, NULL);
		ok(n == sizeof(key) && !paserk_public_admissible(key), "%s is not", inadmissible[i].why);
	}
	sodium_hex2bin(order8, sizeof(order8), inadmissible[3].hex, 64, NULL, NULL, NULL);
	ok(crypto_core_ed25519_add(mixed, public, order8) == 0 && !paserk_public_admissible(mixed),
	   "a good key plus a point of order 8 is not");
	return tap_done();
}
