/* SPDX-License-Identifier: MIT */
/*
 * base64url without padding (RFC 4648 section 5), strict: one spelling for each byte string. No '=', no white space,
 * no '+' or '/', no bits left over in the last character. Constant-time in the content, so fit for secret keys. Pure.
 */
#ifndef SESSIONFS_BASE64URL_H
#define SESSIONFS_BASE64URL_H

#include <stddef.h>
#include <stdint.h>

/* Characters that n bytes take. */
#define BASE64URL_LEN(n) (((n)*4 + 2) / 3)

/* Decodes all of text into buf. 0 and *ret bytes written; -EINVAL, also when cap bytes do not hold them. */
int base64url_decode(const char *text, size_t len, uint8_t *buf, size_t cap, size_t *ret);

/* Writes BASE64URL_LEN(len) characters and a NUL to text. */
void base64url_encode(const uint8_t *bin, size_t len, char *text);

#endif
