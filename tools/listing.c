/* SPDX-License-Identifier: MIT */
#include "listing.h"

#include <fcntl.h>
#include <sodium.h>
#include <time.h>

#include "mount.h"
#include "ledger.h"
#include "options.h"
#include "proto/rfc3339.h"
#include "util.h"

const char *state_name(enum state state)
{
	static const char *const names[] = {"live", "idle", "expired", "revoked", "broken"};

	return names[state];
}

const char *row_error(const struct row *row)
{
	return row->error == -EUCLEAN ? "damaged" : strerror(-row->error);
}

/* --- collecting --- */

static enum state state_of(const struct row *row, int64_t now)
{
	const char *said = json_string_value(json_object_get(row->live, "state"));

	if (row->error)
		return STATE_BROKEN;
	if (row->meta.revoked || (said && strcmp(said, "revoked") == 0))
		return STATE_REVOKED;
	if (row->holders)
		return STATE_LIVE;
	return row->meta.expires && row->meta.expires <= now ? STATE_EXPIRED : STATE_IDLE;
}

int64_t listing_time(const json_t *said, const char *key)
{
	const json_t *v = json_object_get(said, key);
	int64_t t;
	uint32_t nsec;

	return v && rfc3339_parse(json_string_value(v), json_string_length(v), &t, &nsec) == 0 ? t : 0;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void copy_text(char *dst, size_t size, const json_t *text)
{
	const char *s = json_string_value(text);

	if (s)
		snprintf(dst, size, "%s", s);
}

/* Adds a session if the options ask for it. 0 or -ENOMEM. */
static int add_row(struct listing *l, struct row *row)
{
	row->live = json_object_get(l->by_sid, row->meta.sid);
	row->holders = json_array_size(json_object_get(row->live, "holders"));
	/* The daemon writes its times to the store now and then. */
	row->meta.last_used = later(row->meta.last_used, listing_time(row->live, "used"));
	row->meta.expires = later(row->meta.expires, listing_time(row->live, "expires"));
	copy_text(row->meta.release, sizeof(row->meta.release), json_object_get(row->live, "release"));
	row->state = state_of(row, l->now);
	if ((l->live_only && !row->holders) || (l->user && strcmp(l->user, row->meta.sub) != 0))
		return 0;
	if (row->error)
		l->status = complain(EXIT_FAILED, "session %s: meta.json: %s", row->name, row_error(row));
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct row *grown = reallocarray(l->rows, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->rows = grown;
		l->room = room;
	}
	l->rows[l->n++] = *row;
	return 0;
}

static int visit(void *ctx, const char *name, const struct meta *meta, int error)
{
	struct listing *l = ctx;
	struct row row = {.error = error};

	snprintf(row.name, sizeof(row.name), "%s", name);
	if (meta)
		row.meta = *meta;
	progress_say(&l->progress, "%zu sessions read", l->n);
	int r = add_row(l, &row);
	json_object_del(l->by_sid, row.meta.sid); /* what is left then is not in the store */
	return r;
}

/*
 * Sessions that the daemon has and visit() has not met: the store has them not, or can't tell, or was not gone through,
 * since all that is wanted is live.
 */
static int add_live_rows(struct listing *l)
{
	for (void *it = json_object_iter(l->by_sid); it; it = json_object_iter_next(l->by_sid, it)) {
		const char *sid = json_object_iter_key(it);
		const json_t *live = json_object_iter_value(it);
		struct row row = {.error = 0};
		bool held = json_array_size(json_object_get(live, "holders"));
		if (!sid_valid(sid, strlen(sid)) || (l->live_only && !held))
			continue;
		sid_hash(sid, row.name);
		progress_say(&l->progress, "%zu sessions read", l->n);
		if (!l->live_only || !l->source.store || store_meta_read(l->source.store, row.name, &row.meta)) {
			row.meta = (struct meta){0};
			copy_text(row.meta.sid, sizeof(row.meta.sid), json_object_get(live, "sid"));
			copy_text(row.meta.sub, sizeof(row.meta.sub), json_object_get(live, "sub"));
		}
		int r = add_row(l, &row);
		if (r)
			return r;
	}
	return 0;
}

/* From its ledger, where what it uses is limited and so is counted already; else from its tree. */
static int usage_of(struct store *s, struct row *row)
{
	struct ledger_sum sum;
	_cleanup_close_ int dir = -1;
	int r = store_session_dir(s, row->name, &dir);

	if (r == 0)
		r = ledger_read(dir, NULL, NULL, NULL, &sum);
	if (r || !sum.counted || sum.garbage)
		return r ? r : store_usage(s, row->name, false, &row->files, &row->bytes);
	struct usage total = ledger_total(&sum);
	row->files = (uint64_t)total.files;
	row->bytes = (uint64_t)total.bytes;
	return 0;
}

static void count_rows(struct listing *l)
{
	for (size_t i = 0; i < l->n && l->source.store && !l->uncounted; i++) {
		struct row *row = &l->rows[i];
		int r = usage_of(l->source.store, row);
		row->counted = r == 0;
		if (r && r != -ENOENT) /* removed meanwhile */
			l->status = complain(EXIT_FAILED, "session %s: data: %s", row->name, strerror(-r));
		progress_say(&l->progress, "%zu sessions counted", i);
	}
}

/* --- sources --- */

static int open_source(struct listing *l, const char *path)
{
	int r = source_open(&l->source, path);

	if (r != EXIT_DONE)
		return r;
	if (l->live_only && !l->source.answer)
		return complain(EXIT_USAGE, "%s: --live needs a mount: only its daemon knows who is in a session",
				path);
	l->status = l->source.status;
	l->by_sid = source_live(&l->source);
	return l->by_sid ? EXIT_DONE : complain(EXIT_FAILED, "%s", strerror(ENOMEM));
}

/* --- order --- */

static uint64_t number_of(const struct row *row, enum column column)
{
	switch (column) {
	case COLUMN_HOLDERS: return row->holders;
	case COLUMN_FILES: return row->files;
	case COLUMN_BYTES: return row->bytes;
	case COLUMN_CREATED: return (uint64_t)row->meta.created;
	case COLUMN_USED: return (uint64_t)row->meta.last_used;
	/* What ends first comes first, and last what does not end. */
	case COLUMN_EXPIRES: return UINT64_MAX - ((uint64_t)row->meta.expires - 1);
	case COLUMN_STATE: return UINT64_MAX - row->state;
	default: return 0;
	}
}

/* The greatest number first; names in their own order, which decides between equals too. */
static int compare_rows(const void *pa, const void *pb, void *by)
{
	const struct row *a = pa, *b = pb;
	enum column column = *(const enum column *)by;
	uint64_t na = number_of(a, column), nb = number_of(b, column);
	int r = column == COLUMN_USER ? strcmp(a->meta.sub, b->meta.sub) : (na < nb) - (na > nb);

	if (r == 0)
		r = strcmp(a->meta.sid, b->meta.sid);
	return r ? r : strcmp(a->name, b->name);
}

void listing_sort(struct listing *l, enum column by)
{
	if (l->n)
		qsort_r(l->rows, l->n, sizeof(*l->rows), compare_rows, &by);
}

/* --- all of it --- */

int listing_collect(struct listing *l, const char *path)
{
	l->status = EXIT_DONE;
	l->now = time(NULL);
	progress_begin(&l->progress);
	int status = open_source(l, path);
	if (status != EXIT_DONE)
		return status;

	int r = l->source.store && !l->live_only ? store_each(l->source.store, visit, l) : 0;
	if (r == 0)
		r = add_live_rows(l);
	if (r == 0)
		count_rows(l);
	progress_end(&l->progress);
	return r ? complain(EXIT_FAILED, "%s: %s", l->source.store ? store_path(l->source.store) : "sessions",
			    strerror(-r))
		 : EXIT_DONE;
}

void listing_free(struct listing *l)
{
	source_close(&l->source);
	json_decref(l->by_sid);
	free(l->rows);
}
