/* SPDX-License-Identifier: MIT */
#include "nodes.h"

#include <time.h>

#include "json.h"
#include "options.h"
#include "requirement.h"
#include "roster.h"
#include "source.h"
#include "table.h"

#define LATE 3 /* beats missed before an instance is called late */

enum node_state { NODE_UP, NODE_LATE, NODE_STOPPED, NODE_BROKEN };
static const char *const state_names[] = {"up", "late", "stopped", "broken"};

struct node_row {
	char name[INSTANCE_NAME_MAX + 1]; /* of the file */
	enum node_state state;
	struct heartbeat beat; /* zero where it is broken */
};

struct nodes {
	struct source source;
	int64_t now;
	struct node_row *rows; /* owned; by name */
	size_t n;
	struct release_row {
		const struct node_row *node;
		const struct heartbeat_release *release;
	} * releases; /* owned */
	size_t n_releases;
	int order_error;
	struct requirement order; /* zero where the store has none */
	int status;
};

/* ---- collecting ---- */

static enum node_state state_of(const struct heartbeat *h, int64_t now)
{
	if (h->stopped)
		return NODE_STOPPED;
	return now - h->beat > LATE * (int64_t)h->every ? NODE_LATE : NODE_UP;
}

static int visit(void *ctx, const char *name, const struct heartbeat *h, int error)
{
	struct nodes *l = ctx;
	struct node_row *grown = reallocarray(l->rows, l->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->rows = grown;
	struct node_row *row = &l->rows[l->n++];
	*row = (struct node_row){.state = h ? state_of(h, l->now) : NODE_BROKEN};
	snprintf(row->name, sizeof(row->name), "%s", name);
	if (h)
		row->beat = *h;
	else
		l->status = complain(EXIT_FAILED, "nodes/%s.json: %s", name,
				     error == -EUCLEAN ? "not a heartbeat" : strerror(-error));
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct node_row *)a)->name, ((const struct node_row *)b)->name);
}

/* By release and then by instance: what is to go stands together. */
static int by_release(const void *pa, const void *pb)
{
	const struct release_row *a = pa, *b = pb;
	int r = strcmp(a->release->release, b->release->release);
	return r ? r : strcmp(a->node->name, b->node->name);
}

static int flatten(struct nodes *l)
{
	for (size_t i = 0; i < l->n; i++)
		l->n_releases += l->rows[i].beat.n_releases;
	l->releases = calloc(l->n_releases + 1, sizeof(*l->releases));
	if (!l->releases)
		return -ENOMEM;
	size_t at = 0;
	for (size_t i = 0; i < l->n; i++)
		for (size_t j = 0; j < l->rows[i].beat.n_releases; j++)
			l->releases[at++] = (struct release_row){&l->rows[i], &l->rows[i].beat.releases[j]};
	qsort(l->releases, l->n_releases, sizeof(*l->releases), by_release);
	return 0;
}

static int collect(struct nodes *l, const char *path)
{
	*l = (struct nodes){.now = time(NULL), .status = EXIT_DONE};
	int status = source_open_store(&l->source, path);
	if (status != EXIT_DONE)
		return status;
	int err = roster_each(store_fd(l->source.store), visit, l);
	if (!err && l->n)
		qsort(l->rows, l->n, sizeof(*l->rows), by_name);
	if (!err)
		err = flatten(l);
	if (err)
		return complain(EXIT_FAILED, "%s: nodes: %s", store_path(l->source.store), strerror(-err));
	l->order_error = requirement_read(store_fd(l->source.store), &l->order);
	if (l->order_error && l->order_error != -ENOENT)
		l->status = complain(EXIT_FAILED, "release.json: %s",
				     l->order_error == -EUCLEAN ? "not one that session-release(1) wrote"
								: strerror(-l->order_error));
	return EXIT_DONE;
}

static void nodes_free(struct nodes *l)
{
	source_close(&l->source);
	free(l->rows);
	free(l->releases);
}

/* ---- instances ---- */

enum { NAME, STATE, BEAT, SINCE, SESSIONS, BINDINGS, VERSION, MOUNT, NODE_COLUMNS };

static const struct table_column node_columns[NODE_COLUMNS] = {
	[NAME] = {"INSTANCE", NULL, false, 12},     [STATE] = {"STATE", NULL, false, 0},
	[BEAT] = {"BEAT", NULL, true, 0},           [SINCE] = {"SINCE", "UP", true, 0},
	[SESSIONS] = {"SESSIONS", "SESS", true, 0}, [BINDINGS] = {"BINDINGS", "BOUND", true, 0},
	[VERSION] = {"VERSION", NULL, false, 0},    [MOUNT] = {"MOUNT", NULL, false, 8},
};

static void node_cell(const void *ctx, size_t i, size_t column, bool terse, char cell[static TABLE_CELL])
{
	const struct nodes *l = ctx;
	const struct node_row *row = &l->rows[i];
	const struct heartbeat *h = &row->beat;

	switch (column) {
	case NAME: table_text(row->name, cell); break;
	case STATE: strcpy(cell, state_names[row->state]); break;
	case BEAT: table_past(h->beat, l->now, terse, cell); break;
	case SINCE: table_past(h->since, l->now, terse, cell); break;
	case SESSIONS: table_number(h->sessions, terse, cell); break;
	case BINDINGS: table_number(h->bindings, terse, cell); break;
	case VERSION: table_text(h->version, cell); break;
	default: table_text(h->mount, cell); break;
	}
}

static json_t *json_releases(const struct heartbeat *h)
{
	json_t *list = json_array();
	for (size_t i = 0; i < h->n_releases; i++) {
		const struct heartbeat_release *r = &h->releases[i];
		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "release", r->release, "workers",
						(json_int_t)r->workers, "refused", (json_int_t)r->refused, "sessions",
						(json_int_t)r->sessions, "binds", (json_int_t)r->binds, "last",
						json_time_or_null(r->last)));
	}
	return list;
}

static json_t *json_node(const struct node_row *row)
{
	const struct heartbeat *h = &row->beat;
	if (row->state == NODE_BROKEN)
		return json_pack("{s:s, s:s}", "instance", row->name, "state", state_names[row->state]);
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:I, s:I, s:I, s:s, s:o}", "instance", row->name,
			 "state", state_names[row->state], "host", h->host, "mount", h->mount, "pid",
			 (json_int_t)h->pid, "version", h->version, "since", json_time_or_null(h->since), "beat",
			 json_time_or_null(h->beat), "sessions", (json_int_t)h->sessions, "bindings",
			 (json_int_t)h->bindings, "mixed", (json_int_t)h->mixed, "policy", h->policy, "releases",
			 json_releases(h));
}

static json_t *json_order(const struct nodes *l)
{
	const struct requirement *r = &l->order;
	if (l->order_error)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o}", "required", *r->required ? json_string(r->required) : json_null(),
			 "since", json_time_or_null(r->since), "draining",
			 *r->draining ? json_string(r->draining) : json_null(), "until", json_time_or_null(r->until));
}

static int print_json(const struct nodes *l)
{
	json_t *list = json_array();
	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(list, json_node(&l->rows[i]));
	_cleanup_json_ json_t *o = json_pack("{s:o, s:o}", "release", json_order(l), "instances", list);
	if (!o || json_dumpf(o, stdout, JSON_INDENT(1)) < 0)
		return complain(EXIT_FAILED, "%s", strerror(ENOMEM));
	putchar('\n');
	return EXIT_DONE;
}

/* ---- releases ---- */

enum { RELEASE, VERDICT, INSTANCE, WORKERS, REFUSED, HELD, BINDS, LAST, RELEASE_COLUMNS };

static const struct table_column release_columns[RELEASE_COLUMNS] = {
	[RELEASE] = {"RELEASE", NULL, false, 8},   [VERDICT] = {"ADMITTED", NULL, false, 0},
	[INSTANCE] = {"INSTANCE", NULL, false, 8}, [WORKERS] = {"WORKERS", NULL, true, 0},
	[REFUSED] = {"REFUSED", NULL, true, 0},    [HELD] = {"SESSIONS", NULL, true, 0},
	[BINDS] = {"BINDS", NULL, true, 0},        [LAST] = {"LAST", NULL, true, 0},
};

/* What its instance does with a release: only where the policy is `require` does release.json count. */
static const char *verdict_of(const struct nodes *l, const struct release_row *row)
{
	const struct requirement *r = &l->order;
	const char *release = row->release->release;
	if (strcmp(row->node->beat.policy, "require") != 0)
		return "yes";
	if (!l->order_error && (!*r->required || strcmp(release, r->required) == 0))
		return "yes";
	if (!l->order_error && *r->draining && strcmp(release, r->draining) == 0 && l->now < r->until)
		return "draining";
	return "no";
}

static void release_cell(const void *ctx, size_t i, size_t column, bool terse, char cell[static TABLE_CELL])
{
	const struct nodes *l = ctx;
	const struct release_row *row = &l->releases[i];

	switch (column) {
	case RELEASE: table_text(row->release->release, cell); break;
	case VERDICT: strcpy(cell, verdict_of(l, row)); break;
	case INSTANCE: table_text(row->node->name, cell); break;
	case WORKERS: table_number(row->release->workers, terse, cell); break;
	case REFUSED: table_number(row->release->refused, terse, cell); break;
	case HELD: table_number(row->release->sessions, terse, cell); break;
	case BINDS: table_number(row->release->binds, terse, cell); break;
	default: table_past(row->release->last, l->now, terse, cell); break;
	}
}

/* ---- both ---- */

static int list(const char *path, bool json, const struct table_column *columns, size_t ncolumns, bool by_releases,
		void (*cell)(const void *ctx, size_t row, size_t column, bool terse, char cell[static TABLE_CELL]))
{
	struct nodes l;
	int status = collect(&l, path);
	const struct table t = {columns, ncolumns, by_releases ? l.n_releases : l.n, cell, &l};

	if (status == EXIT_DONE && json)
		status = print_json(&l);
	else if (status == EXIT_DONE)
		table_print(stdout, &t, table_width(STDOUT_FILENO));
	if (status == EXIT_DONE)
		status = flush_stdout();
	nodes_free(&l);
	return status == EXIT_DONE ? l.status : status;
}

int nodes_list(const char *path, bool json)
{
	return list(path, json, node_columns, NODE_COLUMNS, false, node_cell);
}

int nodes_releases(const char *path, bool json)
{
	return list(path, json, release_columns, RELEASE_COLUMNS, true, release_cell);
}
