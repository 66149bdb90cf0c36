/* SPDX-License-Identifier: MIT */
/* UTF-8, as RFC 3629 has it: shortest form, no surrogates. */
#ifndef SESSIONFS_UTF8_H
#define SESSIONFS_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* The length of the sequence that len bytes begin with, and its code point; 0 when it is none. */
size_t utf8_next(const unsigned char *s, size_t len, uint32_t *c);

#endif
