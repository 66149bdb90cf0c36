/* SPDX-License-Identifier: MIT */
#include "proto/base64url.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>

#include "tap.h"
#include "util.h"

/* RFC 4648 section 10, without the padding, and the two characters that the alphabets differ in. */
static const struct {
	const char *bin, *text;
} pairs[] = {
	{"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
	{"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"},
};

static const struct {
	const char *why, *text;
	size_t len;
} refused[] = {
	{"padding", "Zg==", 4},
	{"half the padding", "Zg=", 3},
	{"trailing bits after one byte", "Zh", 2},
	{"trailing bits after two bytes", "Zm9", 3},
	{"a single character", "Z", 1},
	{"a single character after a group", "Zm9vZ", 5},
	{"the standard alphabet's +", "+__-", 4},
	{"the standard alphabet's /", "-/_-", 4},
	{"a space", "Zm 9v", 5},
	{"a newline at the end", "Zm9v\n", 5},
	{"a newline in front", "\nZm9v", 5},
	{"a NUL at the end", "Zm9v\0", 5},
	{"a dot", "Zm.v", 4},
	{"a byte over 127", "Zm\xc3v", 4},
};

int main(void)
{
	uint8_t bin[64], back[64];
	char text[128];
	size_t n;

	if (sodium_init() < 0)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		size_t len = strlen(pairs[i].bin);
		base64url_encode((const uint8_t *)pairs[i].bin, len, text);
		is_str(text, pairs[i].text, "%zu bytes are written as '%s'", len, pairs[i].text);
		int r = base64url_decode(pairs[i].text, strlen(pairs[i].text), bin, len, &n);
		ok(r == 0 && n == len && memcmp(bin, pairs[i].bin, n) == 0,
		   "'%s' is read back into a buffer that just fits", pairs[i].text);
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		n = 99;
		int r = base64url_decode(refused[i].text, refused[i].len, bin, sizeof(bin), &n);
		ok(r == -EINVAL && n == 99, "%s is refused", refused[i].why);
	}
	is_int(base64url_decode("Zm9v", 4, bin, 2, &n), -EINVAL, "a buffer one byte short is refused");

	int wrong = 0;
	for (int c = 0; c < 256; c++) {
		bool member = c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", c);
		for (int i = 0; i < 4; i++) {
			memcpy(text, "Zm9v", 4);
			text[i] = (char)c;
			wrong += (base64url_decode(text, 4, bin, sizeof(bin), &n) == 0) != member;
		}
	}
	is_int(wrong, 0, "of all 256 bytes the alphabet's 64 alone are accepted, in each place");

	wrong = 0;
	for (size_t len = 0; len <= sizeof(bin); len++) {
		for (size_t i = 0; i < len; i++)
			bin[i] = (uint8_t)(i * 37 + len);
		base64url_encode(bin, len, text);
		wrong += strlen(text) != BASE64URL_LEN(len) ||
			 base64url_decode(text, strlen(text), back, sizeof(back), &n) || n != len ||
			 memcmp(bin, back, len) != 0;
	}
	is_int(wrong, 0, "every length up to 64 comes back, BASE64URL_LEN characters long");
	return tap_done();
}
