/* SPDX-License-Identifier: MIT */
/*
 * The official v4 vectors: 4-S-* are signed and verified; 4-F-* are refused; 4-E-* (v4.local, which we do not speak) are
 * refused by their header. Two 4-F-* are about v4.local alone, so what breaks them is done again to a v4.public token.
 */
#include "proto/paseto.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>

#include "proto/base64url.h"
#include "tap.h"
#include "util.h"
#include "vectors.h"

#define TEXT_MAX 2048

static struct bytes bytes_of(const char *s)
{
	return (struct bytes){s, s ? strlen(s) : 0};
}

static bool same(struct bytes b, const char *s)
{
	return b.len == strlen(s) && (b.len == 0 || memcmp(b.p, s, b.len) == 0);
}

/* Splits and verifies. 0, -EPROTO, -EINVAL, or -EBADMSG for the signature. */
static int open_token(const char *token, const char *implicit, const uint8_t *key, uint8_t *buf, struct paseto *p)
{
	int r = paseto_split(token, strlen(token), buf, p);

	return r ? r : paseto_verify(p, bytes_of(implicit), key) ? 0 : -EBADMSG;
}

static void test_signed(const json_t *t)
{
	const char *name = vector_str(t, "name"), *token = vector_str(t, "token");
	const char *payload = vector_str(t, "payload"), *footer = vector_str(t, "footer");
	const char *implicit = vector_str(t, "implicit-assertion");
	uint8_t public[PASERK_PUBLIC_LEN], secret[PASERK_SECRET_LEN], buf[TEXT_MAX];
	char text[TEXT_MAX];
	struct paseto p;

	ok(vector_hex(t, "public-key", public, sizeof(public)) == sizeof(public) &&
		   vector_hex(t, "secret-key", secret, sizeof(secret)) == sizeof(secret),
	   "%s: has its keys", name);
	is_int(open_token(token, implicit, public, buf, &p), 0, "%s: verifies", name);
	ok(same(p.payload, payload) && same(p.footer, footer), "%s: payload and footer are as given", name);
	is_int(paseto_sign(bytes_of(payload), bytes_of(footer), bytes_of(implicit), secret, text, sizeof(text)), 0,
	       "%s: signs", name);
	is_str(text, token, "%s: to the very same token", name);

	is_int(open_token(token, implicit[0] ? "" : "x", public, buf, &p), -EBADMSG,
	       "%s: another implicit assertion is refused", name);
	public[0] ^= 1;
	is_int(open_token(token, implicit, public, buf, &p), -EBADMSG, "%s: another key is refused", name);
}

static void test_vectors(void)
{
	json_t *doc, *tests = vectors_load("v4.json", &doc), *t;
	uint8_t public[PASERK_PUBLIC_LEN] = {0}, buf[TEXT_MAX];
	struct paseto p;
	int n_signed = 0;
	size_t i;

	json_array_foreach(tests, i, t)
	{
		const char *name = vector_str(t, "name"), *token = vector_str(t, "token");
		if (strncmp(name, "4-S-", 4) == 0) {
			n_signed++;
			test_signed(t);
			vector_hex(t, "public-key", public, sizeof(public));
		} else if (strncmp(token, "v4.public.", 10) == 0) {
			/* 4-F-2 gives a symmetric key, to see it refused as a key for v4.public. We have 4-S-*'s. */
			uint8_t key[PASERK_PUBLIC_LEN];
			const char *implicit = vector_str(t, "implicit-assertion");
			ok(vector_hex(t, "key", key, sizeof(key)) == sizeof(key), "%s: has its key", name);
			is_int(open_token(token, implicit, key, buf, &p), -EBADMSG, "%s: a v4.local key is refused",
			       name);
			is_int(open_token(token, implicit, public, buf, &p), -EBADMSG, "%s: a foreign key is refused",
			       name);
		} else {
			is_int(open_token(token, "", public, buf, &p), -EPROTO, "%s: %.9s is refused by its header",
			       name, token);
		}
	}
	is_int(n_signed, 3, "all three 4-S vectors were there");
	json_decref(doc);
}

/* What the 4-F-* do to v4.local tokens, done to 4-S-2. */
static void test_twins(void)
{
	json_t *doc, *tests = vectors_load("v4.json", &doc), *t, *s2 = NULL;
	uint8_t public[PASERK_PUBLIC_LEN], secret[PASERK_SECRET_LEN], buf[TEXT_MAX];
	char text[TEXT_MAX];
	struct paseto p;
	size_t i;

	json_array_foreach(tests, i, t) if (strcmp(vector_str(t, "name"), "4-S-2") == 0) s2 = t;
	const char *token = vector_str(s2, "token");
	const char *dot = strrchr(token, '.');
	int body = (int)(dot - token);
	vector_hex(s2, "public-key", public, sizeof(public));
	vector_hex(s2, "secret-key", secret, sizeof(secret));

	snprintf(text, sizeof(text), "v4.local.%s", token + 10);
	is_int(open_token(text, "", public, buf, &p), -EPROTO, "4-F-1's twin: the other purpose's header is refused");
	snprintf(text, sizeof(text), "v3.public.%s", token + 10);
	is_int(open_token(text, "", public, buf, &p), -EPROTO, "4-F-3's twin: another version's header is refused");
	snprintf(text, sizeof(text), "%s", token);
	text[body - 3] ^= 'A' ^ 'B';
	int r = open_token(text, "", public, buf, &p);
	ok(r == -EBADMSG || r == -EINVAL, "4-F-4's twin: a changed character near the end of the body is refused");
	snprintf(text, sizeof(text), "%.*s==%s", body, token, dot);
	is_int(open_token(text, "", public, buf, &p), -EINVAL, "4-F-5's twin: a padded body is refused");
	snprintf(text, sizeof(text), "%s==", token);
	is_int(open_token(text, "", public, buf, &p), -EINVAL, "a padded footer is refused");

	paseto_sign(bytes_of(vector_str(s2, "payload")), bytes_of("arbitrary-string-that-isn't-json"), bytes_of(""),
		    secret, text, sizeof(text));
	is_int(open_token(text, "", public, buf, &p), 0, "a footer that is no JSON is the envelope's least concern");
	json_decref(doc);
}

static void test_envelope(void)
{
	uint8_t public[PASERK_PUBLIC_LEN], secret[PASERK_SECRET_LEN], seed[32] = {7}, buf[TEXT_MAX];
	static char big[PASETO_MAX + 1], out[2 * PASETO_MAX];
	char text[TEXT_MAX], short_sig[128] = "v4.public.";
	struct paseto p;

	crypto_sign_seed_keypair(public, secret, seed);
	is_int(paseto_sign(bytes_of(""), bytes_of(""), bytes_of(""), secret, text, sizeof(text)), 0,
	       "an empty payload is signed");
	ok(open_token(text, "", public, buf, &p) == 0 && p.payload.len == 0 && p.footer.len == 0, "and verified");

	size_t need = strlen(text) + 1;
	is_int(paseto_sign(bytes_of(""), bytes_of(""), bytes_of(""), secret, text, need), 0,
	       "a buffer that just fits will do");
	is_int(paseto_sign(bytes_of(""), bytes_of(""), bytes_of(""), secret, text, need - 1), -EMSGSIZE,
	       "one byte less will not");
	is_int(paseto_sign((struct bytes){big, sizeof(big)}, bytes_of(""), bytes_of(""), secret, out, sizeof(out)),
	       -EMSGSIZE, "a payload over the bound is refused");
	is_int(paseto_sign((struct bytes){big, PASETO_MAX - 1}, bytes_of("f"), bytes_of("i"), secret, out, sizeof(out)),
	       -EMSGSIZE, "so are pieces that pass it together");

	/* PAE: moving a byte from one piece to its neighbour must not verify. */
	paseto_sign(bytes_of("pay"), bytes_of("foot"), bytes_of("imp"), secret, text, sizeof(text));
	is_int(open_token(text, "imp", public, buf, &p), 0, "payload, footer and assertion verify together");
	p.footer.len--;
	ok(!paseto_verify(&p, bytes_of("timp"), public), "a byte moved from footer to assertion does not");

	base64url_encode(seed, 32, short_sig + 10);
	is_int(paseto_split(short_sig, strlen(short_sig), buf, &p), -EINVAL,
	       "a body shorter than a signature is refused");
	is_int(paseto_split("v4.public.", 10, buf, &p), -EINVAL, "so is an empty one");
	is_int(paseto_split("v4.public", 9, buf, &p), -EPROTO, "so is a header without its dot");
	is_int(paseto_split("", 0, buf, &p), -EPROTO, "so is nothing");

	/* The buffer's claimed size is enough: exactly len bytes, watched by the address sanitizer. */
	paseto_sign(bytes_of("pay"), bytes_of("foot"), bytes_of(""), secret, text, sizeof(text));
	_cleanup_free_ uint8_t *tight = malloc(strlen(text));
	ok(tight && paseto_split(text, strlen(text), tight, &p) == 0 && same(p.payload, "pay") &&
		   same(p.footer, "foot"),
	   "a token is taken apart within a buffer of its own length");
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	test_vectors();
	test_twins();
	test_envelope();
	return tap_done();
}
