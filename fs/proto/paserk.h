/* SPDX-License-Identifier: MIT */
/*
 * PASERK text of Ed25519 keys: k4.public, k4.secret and the key id k4.pid. Pure; one spelling accepted.
 *
 * Codec and admission are apart: paserk_decode_public() accepts any 32 bytes (as the official vectors do), and
 * paserk_public_admissible() says whether they are a point that may be trusted.
 */
#ifndef SESSIONFS_PASERK_H
#define SESSIONFS_PASERK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PASERK_PUBLIC_LEN 32
#define PASERK_SECRET_LEN 64 /* seed followed by the public key, as libsodium has it */
#define PASERK_PUBLIC_TEXT_LEN (sizeof("k4.public.") - 1 + 43)
#define PASERK_SECRET_TEXT_LEN (sizeof("k4.secret.") - 1 + 86)
#define PASERK_ID_TEXT_LEN (sizeof("k4.pid.") - 1 + 44)

/* 0 or -EINVAL. Secret decoding also demands that the public half belongs to the seed. */
int paserk_decode_public(const char *text, size_t len, uint8_t key[static PASERK_PUBLIC_LEN]);
int paserk_decode_secret(const char *text, size_t len, uint8_t key[static PASERK_SECRET_LEN]);

void paserk_encode_public(const uint8_t key[static PASERK_PUBLIC_LEN], char text[static PASERK_PUBLIC_TEXT_LEN + 1]);
void paserk_encode_secret(const uint8_t key[static PASERK_SECRET_LEN], char text[static PASERK_SECRET_TEXT_LEN + 1]);

/* The key id: "k4.pid." + base64url(BLAKE2b-264("k4.pid." || k4.public text)); PASERK operations/ID.md. */
void paserk_id(const uint8_t key[static PASERK_PUBLIC_LEN], char text[static PASERK_ID_TEXT_LEN + 1]);

/* Whether text is a k4.pid in form. */
bool paserk_id_valid(const char *text, size_t len);

/* On the curve, canonical, in the prime-order subgroup, not of small order. */
bool paserk_public_admissible(const uint8_t key[static PASERK_PUBLIC_LEN]);

#endif
