/* SPDX-License-Identifier: MIT */
/*
 * Tables as text: columns with titles, aligned, and cut to a terminal's width.
 *
 * At a terminal a table is terse: short titles, short numbers and times, and of what does not fit, the columns that may be
 * cut are, the widest first. Elsewhere nothing is cut and all is exact. Each line has as many words as the table has
 * columns: a cell that could hold something else is made with table_text().
 *
 * Cells are asked for when they are needed, twice each, so that a table of any length takes no memory. The locale's
 * LC_CTYPE decides what is visible, so setlocale() comes first.
 */
#ifndef SESSIONFS_TABLE_H
#define SESSIONFS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/claims.h"

/* The longest name there is, when each of its bytes takes four. */
#define TABLE_CELL (4 * SUB_MAX + 1)

#define TABLE_COLUMNS 16 /* at most */

struct table_column {
	const char *title;
	const char *terse; /* the title at a terminal; NULL: the same */
	bool right;        /* aligned */
	int least;         /* what it may be cut to on a terminal that is too narrow; 0: never */
};

struct table {
	const struct table_column *columns;
	size_t ncolumns, nrows;
	/* Writes a cell, which is never empty. */
	void (*cell)(const void *ctx, size_t row, size_t column, bool terse, char cell[static TABLE_CELL]);
	const void *ctx;
};

/* How wide the terminal is that fd is; 0 where it is none. */
int table_width(int fd);

/* To a terminal of this width; 0: to something else. */
void table_print(FILE *f, const struct table *t, int width);

/*
 * What cells are made of. Text so that no terminal is told anything by it: what is no visible character of the locale, a
 * space or a backslash is written \xHH, and no text at all "-".
 */
void table_text(const char *text, char cell[static TABLE_CELL]);
void table_number(uint64_t n, bool terse, char cell[static TABLE_CELL]);
void table_bytes(uint64_t n, bool terse, char cell[static TABLE_CELL]);

/* A time (Unix seconds, 0: none); terse it is how long before now, and how long after. */
void table_past(int64_t t, int64_t now, bool terse, char cell[static TABLE_CELL]);
void table_future(int64_t t, int64_t now, bool terse, char cell[static TABLE_CELL]);

#endif
