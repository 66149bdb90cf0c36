/* SPDX-License-Identifier: MIT */
#include "base64url.h"

#include <errno.h>
#include <sodium.h>

int base64url_decode(const char *text, size_t len, uint8_t *buf, size_t cap, size_t *ret)
{
	size_t n;

	/* libsodium 1.0.18 takes every byte over 127 for a digit where char is signed: 128 spellings of one token. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] > 127)
			return -EINVAL;
	/* With an end pointer libsodium stops at the first foreign character and calls that success: give it none. */
	if (sodium_base642bin(buf, cap, text, len, NULL, &n, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING))
		return -EINVAL;
	*ret = n;
	return 0;
}

void base64url_encode(const uint8_t *bin, size_t len, char *text)
{
	sodium_bin2base64(text, BASE64URL_LEN(len) + 1, bin, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}
