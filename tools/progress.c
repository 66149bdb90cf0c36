/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static double seconds_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) + 1e-9 * (double)(now.tv_nsec - t->tv_nsec);
}

void progress_begin(struct progress *p)
{
	*p = (struct progress){.off = p->off};
	clock_gettime(CLOCK_MONOTONIC, &p->began);
}

void progress_say(struct progress *p, const char *fmt, ...)
{
	va_list ap;

	if (p->off || !isatty(STDERR_FILENO) || seconds_since(&p->began) < 1 || seconds_since(&p->shown) < 0.2)
		return;
	clock_gettime(CLOCK_MONOTONIC, &p->shown);
	fputc('\r', stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\033[K\r", stderr);
	fflush(stderr);
}

void progress_end(const struct progress *p)
{
	if (p->shown.tv_sec)
		fputs("\r\033[K", stderr);
}
