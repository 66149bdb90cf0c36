/* SPDX-License-Identifier: MIT */
#include "show.h"

#include "options.h"
#include "proto/rfc3339.h"
#include "table.h"
#include "util.h"

/* --- JSON --- */

static json_t *json_time(int64_t t)
{
	char text[RFC3339_LEN + 1];

	return t && rfc3339_format(t, text) == 0 ? json_string(text) : json_null();
}

static json_t *json_text(const char *s)
{
	return s[0] ? json_string(s) : json_null();
}

static json_t *json_count(bool known, uint64_t n)
{
	return known ? json_integer((json_int_t)n) : json_null();
}

static json_t *json_row(const struct listing *l, const struct row *row)
{
	json_t *holders = json_object_get(row->live, "holders");

	holders = holders ? json_incref(holders) : l->source.answer ? json_array() : json_null();
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "id", json_text(row->meta.sid),
			 "user", json_text(row->meta.sub), "state", state_name(row->state), "holders", holders, "files",
			 json_count(row->counted, row->files), "bytes", json_count(row->counted, row->bytes), "created",
			 json_time(row->meta.created), "used", json_time(row->meta.last_used), "expires",
			 json_time(row->meta.expires), "release", json_text(row->meta.release), "name", row->name,
			 "error", json_text(row->error ? row_error(row) : ""));
}

/* One session at a time: of a large store the tree would be larger than the text. */
int show_json(FILE *f, const struct listing *l)
{
	fputs("{\"sessions\": [", f);
	for (size_t i = 0; i < l->n; i++) {
		json_t *row = json_row(l, &l->rows[i]);
		fputs(i ? ",\n  " : "\n  ", f);
		int r = row ? json_dumpf(row, f, 0) : -1;
		json_decref(row);
		if (r)
			return complain(EXIT_FAILED, "session %s: cannot be written as JSON", l->rows[i].name);
	}
	fputs(l->n ? "\n]}\n" : "]}\n", f);
	return EXIT_DONE;
}

/* --- the table --- */

static const struct table_column columns[COLUMNS] = {
	[COLUMN_ID] = {"ID", NULL, false, 12},           [COLUMN_USER] = {"USER", NULL, false, 8},
	[COLUMN_STATE] = {"STATE", NULL, false, 0},      [COLUMN_HOLDERS] = {"HOLDERS", "HELD", true, 0},
	[COLUMN_FILES] = {"FILES", NULL, true, 0},       [COLUMN_BYTES] = {"BYTES", NULL, true, 0},
	[COLUMN_CREATED] = {"CREATED", "AGE", true, 0},  [COLUMN_USED] = {"USED", NULL, true, 0},
	[COLUMN_EXPIRES] = {"EXPIRES", "LEFT", true, 0}, [COLUMN_RELEASE] = {"RELEASE", NULL, false, 7},
};

static void cell_of(const void *ctx, size_t i, size_t column, bool terse, char cell[static TABLE_CELL])
{
	const struct listing *l = ctx;
	const struct row *row = &l->rows[i];

	switch ((enum column)column) {
	case COLUMN_ID: table_text(row->meta.sid[0] ? row->meta.sid : row->name, cell); break;
	case COLUMN_USER: table_text(row->meta.sub, cell); break;
	case COLUMN_STATE: strcpy(cell, state_name(row->state)); break;
	case COLUMN_HOLDERS: snprintf(cell, TABLE_CELL, l->source.answer ? "%zu" : "-", row->holders); break;
	case COLUMN_FILES:
		if (row->counted)
			table_number(row->files, terse, cell);
		else
			strcpy(cell, "-");
		break;
	case COLUMN_BYTES:
		if (row->counted)
			table_bytes(row->bytes, terse, cell);
		else
			strcpy(cell, "-");
		break;
	case COLUMN_CREATED: table_past(row->meta.created, l->now, terse, cell); break;
	case COLUMN_USED: table_past(row->meta.last_used, l->now, terse, cell); break;
	case COLUMN_EXPIRES: table_future(row->meta.expires, l->now, terse, cell); break;
	case COLUMN_RELEASE: table_text(row->meta.release, cell); break;
	case COLUMNS: abort();
	}
}

void show_table(FILE *f, const struct listing *l, int width)
{
	const struct table t = {columns, COLUMNS, l->n, cell_of, l};

	table_print(f, &t, width);
}

enum column show_key(const char *name)
{
	static const char *const keys[] = {"id",    "user",    "state", "holders", "files",
					   "bytes", "created", "used",  "expires"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(name, keys[i]) == 0)
			return (enum column)i;
	return COLUMNS;
}
