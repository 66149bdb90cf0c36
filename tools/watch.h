/* SPDX-License-Identifier: MIT */
/*
 * A screen that is drawn again and again, as top(1) has it: until q, Ctrl-C, or a signal.
 *
 * The terminal is put back as it was, whatever ends the watch but SIGKILL; and nothing holds up the end: what is to be
 * shown is found out on a thread of its own, so that q is heard though a daemon does not answer.
 */
#ifndef SESSIONFS_WATCH_H
#define SESSIONFS_WATCH_H

#include <stdio.h>

/* Writes what the screen is to show, for a terminal this wide; what is too much for it is cut. Called on another thread. */
typedef void watch_draw_fn(void *ctx, FILE *f, int width);

/*
 * Draws on the terminal that stdout is each so many seconds, and when its size changes. An exit status, after a complaint
 * where it is no terminal to draw on. Where draw does not come back, the program is ended from here; and so it is by the
 * signal, if one ends the watch.
 */
int watch_terminal(double seconds, watch_draw_fn *draw, void *ctx);

#endif
