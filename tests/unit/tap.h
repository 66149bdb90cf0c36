/* SPDX-License-Identifier: MIT */
/*
 * TAP for the unit tests: every check is one line, `ok N - claim`, and says what it got when it fails.
 * tap_done() prints the plan last and gives main its status, so a test that dies half-way has no plan and fails.
 */
#ifndef SESSIONFS_TAP_H
#define SESSIONFS_TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 0))) static inline int tap_vok(int pass, const char *claim, va_list ap)
{
	printf("%s %d - ", pass ? "ok" : "not ok", ++tap_count);
	vprintf(claim, ap);
	putchar('\n');
	tap_failed += !pass;
	return pass;
}

__attribute__((format(printf, 2, 3))) static inline int ok(int pass, const char *claim, ...)
{
	va_list ap;
	va_start(ap, claim);
	tap_vok(pass, claim, ap);
	va_end(ap);
	return pass;
}

__attribute__((format(printf, 3, 4))) static inline int is_int(long long got, long long want, const char *claim, ...)
{
	va_list ap;
	va_start(ap, claim);
	int pass = tap_vok(got == want, claim, ap);
	va_end(ap);
	if (!pass)
		printf("#  got: %lld\n# want: %lld\n", got, want);
	return pass;
}

__attribute__((format(printf, 3, 4))) static inline int is_str(const char *got, const char *want, const char *claim,
							       ...)
{
	va_list ap;
	va_start(ap, claim);
	int pass = tap_vok(got && want ? strcmp(got, want) == 0 : got == want, claim, ap);
	va_end(ap);
	if (!pass)
		printf("#  got: %s\n# want: %s\n", got ? got : "(null)", want ? want : "(null)");
	return pass;
}

static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
