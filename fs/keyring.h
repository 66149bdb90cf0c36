/* SPDX-License-Identifier: MIT */
/*
 * The trusted public keys, and the tokens that were already verified with them.
 *
 * keyring_check() is what the daemon asks: it verifies a token, or finds that the very same bytes were verified
 * before. The cache is bounded, keyed by a keyed hash of the whole token (the key is random for each process), holds
 * successes alone, rechecks the times at each hit, and is emptied when the keys change. Guarded by one mutex, which
 * is not held while a signature is verified (80 us).
 *
 * A keys directory holds regular files *.pub of one k4.public line each; other names are ignored, a bad file is an
 * error that names it. The directory and files must not be writable by others than root and the daemon's user.
 */
#ifndef SESSIONFS_KEYRING_H
#define SESSIONFS_KEYRING_H

#include "proto/token.h"

struct keyring; /* opaque */

/*
 * Loads all keys of a directory. Returns 0 and an owned keyring; -errno with a one-line reason, naming the file, in
 * err. An empty directory is an error: -ENOKEY.
 */
int keyring_open(const char *dir, const struct token_rules *rules, char *err, size_t errlen, struct keyring **ret);
void keyring_close(struct keyring *k); /* NULL is fine */

/* Loads again; on failure the old keys stay. 1 where other keys are trusted now, 0, or errors as keyring_open(). */
int keyring_reload(struct keyring *k, char *err, size_t errlen);

/*
 * Looks whether files of the directory have changed (names, numbers, sizes, owners, modes, times), and if so loads them
 * again, now and at the next call: a file may be written at this moment. For one thread, about once a second. 1: other
 * keys are trusted now; 0: nothing is new, or the old keys stay and it is tried again; -errno with a reason in err: the
 * old keys stay, all of them, until the files change again. That is said once for each change.
 */
int keyring_poll(struct keyring *k, char *err, size_t errlen);

/* Whether a kid is trusted now. For ending bindings of removed keys. */
bool keyring_has(struct keyring *k, const char *kid);

/* A digest of the set of trusted kids, in hex: the same wherever the same keys are trusted. */
#define KEYRING_DIGEST_LEN 32
void keyring_digest(struct keyring *k, char hex[static KEYRING_DIGEST_LEN + 1]);

/* As token_verify(). *kid gets the key that signed, on TOKEN_OK and TOKEN_EXPIRED. */
enum token_fault keyring_check(struct keyring *k, const char *token, size_t len, int64_t now, struct claims *claims,
			       char kid[static KID_LEN + 1]);

/* Cache hits and misses since start, for the metrics. */
void keyring_counts(struct keyring *k, uint64_t *hits, uint64_t *misses);

#endif
