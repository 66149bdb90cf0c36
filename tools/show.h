/* SPDX-License-Identifier: MIT */
/* A listing as people and programs read it. session-ls(1) documents both forms. */
#ifndef SESSIONFS_SHOW_H
#define SESSIONFS_SHOW_H

#include <stdio.h>

#include "listing.h"

/* The column that --sort names; COLUMNS where there is none. */
enum column show_key(const char *name);

/* The sessions, a line each. To a terminal of this width; 0: to something else. */
void show_table(FILE *f, const struct listing *l, int width);

/* Who holds them, a line each; the oldest first of each session's. 0 or -ENOMEM. */
int show_holders(FILE *f, const struct listing *l, int width);

/*
 * One object and a newline; lines: with a line for each session, else in one. EXIT_DONE, or another status when it has
 * complained.
 */
int show_json(FILE *f, const struct listing *l, bool lines);

#endif
