/* SPDX-License-Identifier: MIT */
#include "paseto.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base64url.h"

#define HEADER "v4.public."
#define HEADER_LEN (sizeof(HEADER) - 1)
#define SIG_LEN crypto_sign_BYTES

/* The pre-authentication encoding of our four pieces: each length goes before its bytes, so none can spill over. */
struct pae {
	uint8_t buf[5 * 8 + HEADER_LEN + PASETO_MAX];
	size_t len;
};

static void pae_number(struct pae *e, uint64_t n)
{
	for (int i = 0; i < 8; i++, n >>= 8)
		e->buf[e->len++] = n & 0xff; /* the top bit, which PAE clears, is never set here */
}

static void pae_piece(struct pae *e, struct bytes b)
{
	pae_number(e, b.len);
	if (b.len > 0)
		memcpy(e->buf + e->len, b.p, b.len);
	e->len += b.len;
}

static int pae_build(struct pae *e, struct bytes payload, struct bytes footer, struct bytes implicit)
{
	if (payload.len > PASETO_MAX || footer.len > PASETO_MAX - payload.len ||
	    implicit.len > PASETO_MAX - payload.len - footer.len)
		return -EMSGSIZE;
	e->len = 0;
	pae_number(e, 4);
	pae_piece(e, (struct bytes){HEADER, HEADER_LEN});
	pae_piece(e, payload);
	pae_piece(e, footer);
	pae_piece(e, implicit);
	return 0;
}

int paseto_split(const char *token, size_t len, uint8_t *buf, struct paseto *ret)
{
	if (len < HEADER_LEN || memcmp(token, HEADER, HEADER_LEN) != 0)
		return -EPROTO;

	const char *body = token + HEADER_LEN;
	size_t body_len = len - HEADER_LEN, n, footer_len = 0;
	const char *dot = memchr(body, '.', body_len);
	if (dot) {
		const char *footer = dot + 1;
		size_t text_len = body_len - (size_t)(footer - body);
		body_len = (size_t)(dot - body);
		/* The footer goes behind the body, whose bytes are fewer than its characters. A second dot is not base64url. */
		if (text_len == 0 || base64url_decode(footer, text_len, buf + body_len, text_len, &footer_len))
			return -EINVAL;
	}
	if (base64url_decode(body, body_len, buf, body_len, &n) || n < SIG_LEN)
		return -EINVAL;
	*ret = (struct paseto){
		.payload = {buf, n - SIG_LEN},
		.footer = {footer_len ? buf + body_len : NULL, footer_len},
		.signature = buf + n - SIG_LEN,
	};
	return 0;
}

bool paseto_verify(const struct paseto *p, struct bytes implicit, const uint8_t key[static PASERK_PUBLIC_LEN])
{
	struct pae e;

	return pae_build(&e, p->payload, p->footer, implicit) == 0 &&
	       crypto_sign_verify_detached(p->signature, e.buf, e.len, key) == 0;
}

int paseto_sign(struct bytes payload, struct bytes footer, struct bytes implicit,
		const uint8_t secret[static PASERK_SECRET_LEN], char *buf, size_t size)
{
	struct pae e;
	uint8_t body[PASETO_MAX + SIG_LEN];

	if (pae_build(&e, payload, footer, implicit))
		return -EMSGSIZE;
	size_t body_text = BASE64URL_LEN(payload.len + SIG_LEN);
	size_t footer_text = footer.len ? 1 + BASE64URL_LEN(footer.len) : 0;
	if (HEADER_LEN + body_text + footer_text + 1 > size)
		return -EMSGSIZE;

	if (payload.len > 0)
		memcpy(body, payload.p, payload.len);
	crypto_sign_detached(body + payload.len, NULL, e.buf, e.len, secret);
	memcpy(buf, HEADER, HEADER_LEN);
	base64url_encode(body, payload.len + SIG_LEN, buf + HEADER_LEN);
	if (footer.len > 0) {
		buf[HEADER_LEN + body_text] = '.';
		base64url_encode(footer.p, footer.len, buf + HEADER_LEN + body_text + 1);
	}
	return 0;
}
