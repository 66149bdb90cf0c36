/* SPDX-License-Identifier: MIT */
#include "sid.h"

#include <sodium.h>
#include <string.h>

/* Letters, digits, and what punct names; locale-free, which isalnum is not. */
static bool all_in(const char *s, size_t len, const char *punct)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
			continue;
		if (c == '\0' || !strchr(punct, c))
			return false;
	}
	return true;
}

bool sid_valid(const char *s, size_t len)
{
	if (len < 1 || len > SID_MAX || s[0] == '.')
		return false;
	if (len == 4 && memcmp(s, "self", 4) == 0)
		return false;
	return all_in(s, len, "._-"); /* and so without a ~, which begins a handle */
}

bool release_valid(const char *s, size_t len)
{
	return len >= 1 && len <= RELEASE_MAX && all_in(s, len, "._+-");
}

void sid_hash(const char *sid, char name[static SID_HASH_LEN + 1])
{
	uint8_t hash[SID_HASH_LEN / 2];

	crypto_generichash(hash, sizeof(hash), (const uint8_t *)sid, strlen(sid), NULL, 0);
	sodium_bin2hex(name, SID_HASH_LEN + 1, hash, sizeof(hash));
}
