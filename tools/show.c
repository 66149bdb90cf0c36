/* SPDX-License-Identifier: MIT */
#include "show.h"

#include "json.h"
#include "options.h"
#include "table.h"
#include "util.h"

/* --- JSON --- */

static json_t *json_count(bool known, uint64_t n)
{
	return known ? json_integer((json_int_t)n) : json_null();
}

static json_t *json_row(const struct listing *l, const struct row *row)
{
	json_t *holders = json_object_get(row->live, "holders");

	holders = holders ? json_incref(holders) : l->source.answer ? json_array() : json_null();
	json_t *open_files = json_object_get(row->live, "open_files");
	open_files = open_files ? json_incref(open_files) : json_count(l->source.answer, 0);
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "id",
			 json_text_or_null(row->meta.sid), "user", json_text_or_null(row->meta.sub), "state",
			 state_name(row->state), "holders", holders, "open_files", open_files, "files",
			 json_count(row->counted, row->files), "bytes", json_count(row->counted, row->bytes), "created",
			 json_time_or_null(row->meta.created), "used", json_time_or_null(row->meta.last_used),
			 "expires", json_time_or_null(row->meta.expires), "release",
			 json_text_or_null(row->meta.release), "name", row->name, "error",
			 json_text_or_null(row->error ? row_error(row) : ""));
}

/* One session at a time: of a large store the tree would be larger than the text. */
int show_json(FILE *f, const struct listing *l, bool lines)
{
	const char *between = lines ? ",\n  " : ", ";

	fputs("{\"sessions\": [", f);
	for (size_t i = 0; i < l->n; i++) {
		json_t *row = json_row(l, &l->rows[i]);
		fputs(i ? between : lines ? "\n  " : "", f);
		int r = row ? json_dumpf(row, f, 0) : -1;
		json_decref(row);
		if (r)
			return complain(EXIT_FAILED, "session %s: cannot be written as JSON", l->rows[i].name);
	}
	fputs(l->n && lines ? "\n]}\n" : "]}\n", f);
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

/* --- who holds them --- */

enum holder_column { SESSION, OWNER, SCOPE, PID, TID, COMM, SINCE, OPEN, HOLDER_RELEASE, HOLDER_COLUMNS };

static const struct table_column holder_columns[HOLDER_COLUMNS] = {
	[SESSION] = {"ID", NULL, false, 12},
	[OWNER] = {"USER", NULL, false, 8},
	[SCOPE] = {"SCOPE", NULL, false, 0},
	[PID] = {"PID", NULL, true, 0},
	[TID] = {"TID", NULL, true, 0},
	[COMM] = {"COMM", NULL, false, 6},
	[SINCE] = {"SINCE", NULL, true, 0},
	[OPEN] = {"OPEN", NULL, true, 0},
	[HOLDER_RELEASE] = {"RELEASE", NULL, false, 7},
};

struct holder {
	const struct row *row;
	const json_t *json; /* as .sessionfs/sessions has it */
	int64_t since;
};

struct holders {
	const struct listing *l;
	const struct holder *list;
};

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void number_cell(const json_t *o, const char *key, bool terse, char cell[static TABLE_CELL])
{
	const json_t *n = json_object_get(o, key);

	if (json_is_integer(n) && json_integer_value(n) >= 0)
		table_number((uint64_t)json_integer_value(n), terse, cell);
	else
		strcpy(cell, "-"); /* an older daemon */
}

static void holder_cell(const void *ctx, size_t i, size_t column, bool terse, char cell[static TABLE_CELL])
{
	const struct holders *h = ctx;
	const struct holder *one = &h->list[i];

	switch ((enum holder_column)column) {
	case SESSION: table_text(one->row->meta.sid, cell); break;
	case OWNER: table_text(one->row->meta.sub, cell); break;
	case SCOPE: table_text(text_of(one->json, "scope"), cell); break;
	case PID: number_cell(one->json, "pid", false, cell); break;
	case TID: number_cell(one->json, "tid", false, cell); break;
	case COMM: table_text(text_of(one->json, "comm"), cell); break;
	case SINCE: table_past(one->since, h->l->now, terse, cell); break;
	case OPEN: number_cell(one->json, "open_files", terse, cell); break;
	case HOLDER_RELEASE: table_text(text_of(one->json, "release"), cell); break;
	case HOLDER_COLUMNS: abort();
	}
}

static int compare_holders(const void *pa, const void *pb)
{
	const struct holder *a = pa, *b = pb;

	if (a->row != b->row)
		return a->row < b->row ? -1 : 1;
	if (a->since != b->since)
		return a->since < b->since ? -1 : 1;
	json_int_t x = json_integer_value(json_object_get(a->json, "tid"));
	json_int_t y = json_integer_value(json_object_get(b->json, "tid"));
	return (x > y) - (x < y);
}

int show_holders(FILE *f, const struct listing *l, int width)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->rows[i].holders;
	_cleanup_free_ struct holder *list = calloc(n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < l->n; i++) {
		const json_t *holders = json_object_get(l->rows[i].live, "holders");
		for (size_t j = 0; j < l->rows[i].holders; j++) {
			const json_t *one = json_array_get(holders, j);
			list[n++] = (struct holder){&l->rows[i], one, listing_time(one, "since")};
		}
	}
	qsort(list, n, sizeof(*list), compare_holders);
	const struct holders h = {l, list};
	table_print(f, &(struct table){holder_columns, HOLDER_COLUMNS, n, holder_cell, &h}, width);
	return 0;
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
