/* SPDX-License-Identifier: MIT */
/*
 * Why something was refused: one word for the audit, the control files and the metrics, of a bounded set. The faults of a
 * token (token.h) are among them. sessionfs-control(5) explains each word.
 */
#ifndef SESSIONFS_REASON_H
#define SESSIONFS_REASON_H

#include "proto/token.h"

/* X(enum suffix, word) */
/* clang-format off */
#define REASONS(X) \
	X(not_bound, "not-bound") \
	X(expired, "expired") \
	X(revoked, "revoked") \
	X(another_session, "another-session") \
	X(root, "root") \
	X(fixed_name, "fixed-name") \
	X(symlink, "symlink") \
	X(special_file, "special-file") \
	X(control_file, "control-file") \
	X(not_the_opener, "not-the-opener") \
	X(no_caller, "no-caller") \
	X(caller_gone, "caller-gone") \
	X(sid_of_another_user, "sid-of-another-user") \
	X(release, "release") \
	X(store, "store") \
	X(too_many_sessions, "too-many-sessions") \
	X(too_many_sessions_of_user, "too-many-sessions-of-user") \
	X(too_many_bindings, "too-many-bindings") \
	X(other, "other")

enum reason {
	REASON_none, /* none is given: reason_or() */
#define X(name, word) REASON_##name,
	REASONS(X)
#undef X
	REASON_TOKEN, /* from here on, the faults of tokens */
	REASON_COUNT = REASON_TOKEN + TOKEN_FAULTS
};
/* clang-format on */

/* Never REASON_none: where none was given, what an errno (positive) that was refused with stands for. */
enum reason reason_or(enum reason given, int error);

/* Of a fault of a token; an expired one is as good as a binding past its end. */
enum reason reason_of_fault(enum token_fault fault);

/* "another-session"; NULL for REASON_none, and for those numbers that are nobody's. Static. */
const char *reason_word(enum reason reason);

#endif
