/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "proto/rfc3339.h"

/* --- cells --- */

void table_text(const char *text, char cell[static TABLE_CELL])
{
	mbstate_t state = {0};
	size_t left, used = 0;

	if (!text[0])
		text = "-";
	left = strlen(text);
	while (left > 0) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, left, &state);
		bool whole = n != (size_t)-1 && n != (size_t)-2;
		/* wcwidth() is 0 for what turns the direction of writing. */
		if (whole && iswgraph((wint_t)c) && wcwidth(c) > 0 && c != L'\\') {
			memcpy(cell + used, text, n);
			used += n;
		} else {
			state = (mbstate_t){0};
			n = whole ? n : 1;
			for (size_t i = 0; i < n; i++)
				used += (size_t)sprintf(cell + used, "\\x%02x", (unsigned char)text[i]);
		}
		text += n;
		left -= n;
	}
	cell[used] = '\0';
}

/* 999, 1.2K, 34M: at most five characters. */
static void short_number(uint64_t n, unsigned base, char cell[static TABLE_CELL])
{
	static const char units[] = "KMGTPE";
	size_t unit = 0;

	if (n < 10000 && n < base * 10) {
		snprintf(cell, TABLE_CELL, "%llu", (unsigned long long)n);
		return;
	}
	for (; n / base >= base; n /= base)
		unit++;
	unsigned long long whole = n / base, tenths = n % base * 10 / base;
	if (whole < 10)
		snprintf(cell, TABLE_CELL, "%llu.%llu%c", whole, tenths, units[unit]);
	else
		snprintf(cell, TABLE_CELL, "%llu%c", whole, units[unit]);
}

static void number(uint64_t n, unsigned base, bool terse, char cell[static TABLE_CELL])
{
	if (terse)
		short_number(n, base, cell);
	else
		snprintf(cell, TABLE_CELL, "%llu", (unsigned long long)n);
}

void table_number(uint64_t n, bool terse, char cell[static TABLE_CELL])
{
	number(n, 1000, terse, cell);
}

void table_bytes(uint64_t n, bool terse, char cell[static TABLE_CELL])
{
	number(n, 1024, terse, cell);
}

/* 45s, 12m, 8h, 300d. Negative for what is over. */
static void short_time(int64_t seconds, char cell[static TABLE_CELL])
{
	int64_t s = seconds < 0 ? -seconds : seconds;
	const char *sign = seconds < 0 ? "-" : "";

	if (s < 120)
		snprintf(cell, TABLE_CELL, "%s%llds", sign, (long long)s);
	else if (s < 2 * 3600)
		snprintf(cell, TABLE_CELL, "%s%lldm", sign, (long long)s / 60);
	else if (s < 2 * 86400)
		snprintf(cell, TABLE_CELL, "%s%lldh", sign, (long long)s / 3600);
	else
		snprintf(cell, TABLE_CELL, "%s%lldd", sign, (long long)s / 86400);
}

static void time_cell(int64_t t, int64_t distance, bool terse, char cell[static TABLE_CELL])
{
	if (t == 0)
		strcpy(cell, "-");
	else if (terse)
		short_time(distance, cell);
	else if (rfc3339_format(t, cell))
		strcpy(cell, "?");
}

void table_past(int64_t t, int64_t now, bool terse, char cell[static TABLE_CELL])
{
	time_cell(t, now - t, terse, cell);
}

void table_future(int64_t t, int64_t now, bool terse, char cell[static TABLE_CELL])
{
	time_cell(t, t - now, terse, cell);
}

/* --- widths --- */

/* How many columns of a terminal a cell takes. */
static int width_of(const char *cell)
{
	mbstate_t state = {0};
	wchar_t c;
	int width = 0;

	for (size_t n; *cell && (n = mbrtowc(&c, cell, MB_CUR_MAX, &state)) <= MB_CUR_MAX; cell += n)
		width += wcwidth(c);
	return width;
}

/* Cuts a cell to a width; '+' says that it was. */
static void cut(char *cell, int width)
{
	mbstate_t state = {0};
	wchar_t c;
	int used = 0;
	size_t n;

	if (width_of(cell) <= width)
		return;
	for (; (n = mbrtowc(&c, cell, MB_CUR_MAX, &state)) <= MB_CUR_MAX && used + wcwidth(c) < width; cell += n)
		used += wcwidth(c);
	strcpy(cell, "+");
}

/* Takes from what may be cut, the widest first, until all fits. */
static void fit(const struct table *t, int widths[static TABLE_COLUMNS], int width)
{
	int total = (int)t->ncolumns - 1;

	for (size_t c = 0; c < t->ncolumns; c++)
		total += widths[c];
	for (; total > width; total--) {
		int *widest = NULL;
		for (size_t c = 0; c < t->ncolumns; c++)
			if (t->columns[c].least && widths[c] > t->columns[c].least && (!widest || widths[c] > *widest))
				widest = &widths[c];
		if (!widest)
			return;
		--*widest;
	}
}

int table_width(int fd)
{
	struct winsize size;

	if (!isatty(fd))
		return 0;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

/* --- printing --- */

static void print_cell(FILE *f, const struct table *t, size_t column, const char *cell, int width)
{
	int pad = width - width_of(cell);
	bool last = column == t->ncolumns - 1;

	if (t->columns[column].right)
		fprintf(f, "%*s%s", pad, "", cell);
	else
		fprintf(f, "%s%*s", cell, last ? 0 : pad, "");
	fputc(last ? '\n' : ' ', f);
}

void table_print(FILE *f, const struct table *t, int width)
{
	bool terse = width > 0;
	char cell[TABLE_CELL];
	const char *titles[TABLE_COLUMNS];
	int widths[TABLE_COLUMNS];

	if (t->ncolumns > TABLE_COLUMNS)
		abort();
	for (size_t c = 0; c < t->ncolumns; c++) {
		titles[c] = terse && t->columns[c].terse ? t->columns[c].terse : t->columns[c].title;
		widths[c] = (int)strlen(titles[c]);
		for (size_t i = 0; i < t->nrows; i++) {
			t->cell(t->ctx, i, c, terse, cell);
			if (width_of(cell) > widths[c])
				widths[c] = width_of(cell);
		}
	}
	if (terse)
		fit(t, widths, width);
	for (size_t c = 0; c < t->ncolumns; c++)
		print_cell(f, t, c, titles[c], widths[c]);
	for (size_t i = 0; i < t->nrows; i++) {
		for (size_t c = 0; c < t->ncolumns; c++) {
			t->cell(t->ctx, i, c, terse, cell);
			if (t->columns[c].least)
				cut(cell, widths[c]);
			print_cell(f, t, c, cell, widths[c]);
		}
	}
}
