/* SPDX-License-Identifier: MIT */
/*
 * fstest: makes system calls one at a time and prints what came of each, for the scripts beside it.
 *
 * fstest.c reads the words, and knows threads, processes and bindings; calls.c knows the system calls. Registers are
 * the descriptors that a script holds by a letter; they belong to a process and are copied by fork.
 */
#ifndef FSTEST_H
#define FSTEST_H

#include <stddef.h>

enum { ARGS_MAX = 256, RESULT_MAX = 65536 };

/* One command: its words, and what it answers. A command returns 0 or -errno. */
struct call {
	int argc;
	char **argv;          /* without the command's own name */
	int fd;               /* a descriptor that it made, for a register to own; -1 */
	char out[RESULT_MAX]; /* what it prints on success; "" prints as 0 */
};

struct command {
	const char *name;
	int min, max; /* words that it takes */
	int (*run)(struct call *c);
};

extern const struct command calls[]; /* ends with a NULL name */

/* The descriptor in the register that a word `@a` or `@a/path` names. Ends the program if there is none. */
int held(const char *word);

/* Numbers as the scripts write them: 10, 0x0a, 012, 4K, 2M. Ends the program on anything else. */
long long number(const char *word);

/* Adds bytes to the result, those that are not printable ASCII as \xNN. */
void answer_bytes(struct call *c, const void *bytes, size_t len);
__attribute__((format(printf, 2, 3))) void answer(struct call *c, const char *fmt, ...);

/* A mistake in the script: says so and ends the program. */
__attribute__((noreturn, format(printf, 1, 2))) void mistake(const char *fmt, ...);

#endif
