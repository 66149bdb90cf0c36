/* SPDX-License-Identifier: MIT */
/*
 * Sessions whose instances all have exact lines are counted at once. Where one is in use, or its instance died, only time
 * tells which: they are looked at again when a live instance would have written its line anew, all together, so that the
 * wait is one.
 */
#include "recount.h"

#include <jansson.h>

#include "json.h"
#include "ledger.h"
#include "options.h"
#include "progress.h"
#include "proto/limits.h"
#include "quota.h"
#include "source.h"
#include "users.h"

#define LOOSE_MAX 16 /* lines of one session that are watched; of more it is not known */

/* A line that is not exact, as it was first seen. */
struct loose {
	char instance[INSTANCE_NAME_MAX + 1];
	uint64_t version;
};

struct watched {
	size_t n;
	struct loose loose[LOOSE_MAX];
};

struct later {
	char name[SID_HASH_LEN + 1];
	char sid[SID_MAX + 1];
	struct watched watched;
};

struct recount {
	struct store *store; /* the source's */
	struct later *later; /* owned */
	size_t n, room;
	size_t counted, changed;
	json_t *changes; /* owned */
	bool json;
	int status;
	struct progress progress;
};

static int watch(void *ctx, const char *instance, const struct ledger_line *line)
{
	struct watched *w = ctx;

	if (line && !line->exact && w->n < LOOSE_MAX) {
		struct loose *l = &w->loose[w->n++];
		snprintf(l->instance, sizeof(l->instance), "%s", instance);
		l->version = line->version;
	}
	return 0;
}

/* A live instance would have written it anew. */
static bool is_dead(void *ctx, const char *instance, const struct ledger_line *line)
{
	const struct watched *w = ctx;

	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->loose[i].instance, instance) == 0)
			return w->loose[i].version == line->version;
	return false;
}

static void failed(struct recount *c, const char *sid, int error)
{
	progress_end(&c->progress);
	c->status = complain(EXIT_FAILED, "session %s: usage: %s", sid, strerror(-error));
}

static void tell(struct recount *c, const char *sid, const struct usage *was, const struct usage *is)
{
	c->changed++;
	json_array_append_new(c->changes,
			      json_pack("{s:s, s:[I, I], s:[I, I]}", "id", sid, "bytes", (json_int_t)was->bytes,
					(json_int_t)is->bytes, "files", (json_int_t)was->files, (json_int_t)is->files));
	if (c->json)
		return;
	progress_end(&c->progress);
	printf("%s: bytes %lld -> %lld, files %lld -> %lld\n", sid, (long long)was->bytes, (long long)is->bytes,
	       (long long)was->files, (long long)is->files);
}

/* watched: how its lines were when live ones would have changed since; NULL where they are exact. */
static void count(struct recount *c, const char *name, const char *sid, struct watched *watched)
{
	struct usage was, is;
	int r = quota_recount(c->store, name, watched ? is_dead : NULL, watched, &was, &is);

	if (r == -ENOENT) /* removed meanwhile */
		return;
	c->counted++;
	progress_say(&c->progress, "%zu sessions counted", c->counted);
	if (r)
		failed(c, sid, r);
	else if (was.bytes != is.bytes || was.files != is.files)
		tell(c, sid, &was, &is);
}

static int postpone(struct recount *c, const char *name, const char *sid, const struct watched *watched)
{
	if (c->n == c->room) {
		size_t more = c->room ? c->room * 2 : 64;
		struct later *moved = reallocarray(c->later, more, sizeof(*moved));
		if (!moved)
			return -ENOMEM;
		c->later = moved;
		c->room = more;
	}
	struct later *l = &c->later[c->n++];
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->sid, sizeof(l->sid), "%s", sid);
	l->watched = *watched;
	return 0;
}

static int visit(void *ctx, const char *name, const struct meta *meta, int error)
{
	struct recount *c = ctx;
	struct ledger_sum sum;
	struct watched watched = {0};
	bool fresh;

	if (!meta) {
		failed(c, name, error);
		return 0;
	}
	int r = users_enter(c->store, meta->sub, name, LIMIT_NONE, &fresh);
	if (r == 0)
		r = ledger_read(c->store, name, NULL, watch, &watched, &sum);
	if (r == -ENOENT)
		return 0;
	if (r)
		failed(c, meta->sid, r);
	else if (sum.loose)
		return postpone(c, name, meta->sid, &watched);
	else if (sum.there) /* else nobody ever limited it, and nobody asks */
		count(c, name, meta->sid, NULL);
	return 0;
}

static void look_again(struct recount *c)
{
	if (c->n == 0)
		return;
	for (int ms = 0; ms < LEDGER_DEAD; ms += 250) {
		progress_say(&c->progress, "%zu sessions in use, or of instances that died: waiting to see which",
			     c->n);
		usleep(250000);
	}
	for (size_t i = 0; i < c->n; i++)
		count(c, c->later[i].name, c->later[i].sid, &c->later[i].watched);
}

static int report(struct recount *c)
{
	if (!c->json) {
		printf("%zu sessions counted, %zu changed\n", c->counted, c->changed);
		return flush_stdout();
	}
	_cleanup_json_ json_t *o = json_pack("{s:I, s:O}", "counted", (json_int_t)c->counted, "changed", c->changes);
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2)))
		return complain(EXIT_FAILED, "standard output: cannot write");
	putchar('\n');
	return flush_stdout();
}

int recount_sessions(const char *path, bool json)
{
	struct source source = {0};
	struct recount c = {.json = json};
	int status = source_open_store(&source, path);

	if (status != EXIT_DONE)
		return status;
	c.store = source.store;
	c.changes = json_array();
	progress_begin(&c.progress);
	int r = c.changes ? store_each(c.store, visit, &c) : -ENOMEM;
	if (r == 0)
		look_again(&c);
	progress_end(&c.progress);
	status = r ? complain(EXIT_FAILED, "%s: %s", store_path(c.store), strerror(-r)) : report(&c);
	json_decref(c.changes);
	free(c.later);
	source_close(&source);
	return status == EXIT_DONE ? c.status : status;
}
