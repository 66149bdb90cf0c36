/* SPDX-License-Identifier: MIT */
/*
 * What the programs have in common at their edges: messages, --help, --version, and an honest exit status.
 *
 * 0 is done, 1 what was asked could not be done, 2 usage. A message is one line on stderr: the program's name, the thing,
 * the reason.
 */
#ifndef SESSIONFS_OPTIONS_H
#define SESSIONFS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Prints the message with the program's name before it. Returns status, to be returned on. */
__attribute__((format(printf, 2, 3))) int complain(int status, const char *fmt, ...);

/* Where messages go: to stderr for NULL, as at the start. For who has the terminal in use. */
void complain_into(FILE *f);

/*
 * Does what --help or --version ask for, where one of them is the only argument: true, and *status is main's. Options
 * that stand behind a `--` or among others are not looked at: they may be another program's.
 */
bool options_about(int argc, char **argv, const char *usage, int *status);

/* What was printed has arrived, or the status says that it has not (a full disk behind stdout). */
int flush_stdout(void);

/* "90s", "15m", "8h", "30d"; a bare number is seconds. 0 or -EINVAL. */
int options_duration(const char *s, int64_t *ret);

#endif
