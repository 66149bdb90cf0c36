/* SPDX-License-Identifier: MIT */
/*
 * How far a program is, for who waits at a terminal: one line on stderr that is written over, after the first second, five
 * times a second at most. Nothing is said where stderr is no terminal.
 */
#ifndef SESSIONFS_PROGRESS_H
#define SESSIONFS_PROGRESS_H

#include <stdbool.h>
#include <time.h>

struct progress {
	bool off;                     /* says nothing: the caller's to set */
	struct timespec began, shown; /* monotonic; shown is 0 until something was */
};

void progress_begin(struct progress *p);

/* Cheap, so that it may be called at each step. */
__attribute__((format(printf, 2, 3))) void progress_say(struct progress *p, const char *fmt, ...);

/* Clears the line. */
void progress_end(const struct progress *p);

#endif
