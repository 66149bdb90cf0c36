/* SPDX-License-Identifier: MIT */
#include "reason.h"

#include <errno.h>
#include <stddef.h>

enum reason reason_or(enum reason given, int error)
{
	if (given != REASON_none)
		return given;
	switch (error) {
	case ENOKEY: return REASON_not_bound;
	case EKEYEXPIRED: return REASON_expired;
	case EKEYREVOKED: return REASON_revoked;
	case EACCES: return REASON_another_session;
	case ESTALE: return REASON_release;
	case EPERM: return REASON_fixed_name;
	default: return REASON_other;
	}
}

enum reason reason_of_fault(enum token_fault fault)
{
	if (fault == TOKEN_OK)
		return REASON_none;
	return fault == TOKEN_EXPIRED ? REASON_expired : (enum reason)(REASON_TOKEN + (int)fault);
}

const char *reason_word(enum reason reason)
{
	static const char *const words[REASON_TOKEN] = {
#define X(name, word) [REASON_##name] = word,
		REASONS(X)
#undef X
	};
	if (reason < REASON_TOKEN)
		return words[reason];
	/* These two are not used: reason_of_fault(). */
	enum token_fault fault = (enum token_fault)(reason - REASON_TOKEN);
	return fault == TOKEN_OK || fault == TOKEN_EXPIRED ? NULL : token_fault_name(fault);
}
