/* SPDX-License-Identifier: MIT */
/*
 * A session of which no instance has an open line is counted at once. Of the others only time tells which are in use, and
 * which were left by an instance that died: so they wait for the heartbeats of those instances, all together. One that is
 * in use is marked in its ledger, and its instance counts it when it can.
 */
#include "recount.h"

#include <jansson.h>

#include "account.h"
#include "count.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "proto/limits.h"
#include "source.h"
#include "users.h"
#include "witness.h"

#define LOOK_MS 250

struct later {
	char name[SID_HASH_LEN + 1];
	char sid[SID_MAX + 1];
};

struct recount {
	struct store *store; /* the source's */
	struct witness witness;
	struct later *later; /* owned */
	size_t n, room;
	size_t counted, changed, in_use;
	bool undecided;
	json_t *changes, *used; /* owned */
	bool json;
	int status;
	struct progress progress;
};

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

static void tell_used(struct recount *c, const char *sid)
{
	c->in_use++;
	json_array_append_new(c->used, json_string(sid));
	if (c->json)
		return;
	progress_end(&c->progress);
	printf("%s: in use; its instance counts it\n", sid);
}

/* -EBUSY where it is in use. */
static int count(struct recount *c, int dir, const char *sid)
{
	const struct usage none = {0, 0};
	struct count count;
	struct ledger_sum sum;
	int r = count_take(dir, NULL, &c->witness, 0, false, &count);
	if (r == 0)
		r = count_keep(c->store, dir, NULL, &c->witness, &count, &none);
	if (r == 0)
		r = ledger_read(dir, NULL, NULL, NULL, &sum);
	if (r)
		return r;
	struct usage was = ledger_total(&count.sum), is = ledger_total(&sum);
	c->counted++;
	progress_say(&c->progress, "%zu sessions counted", c->counted);
	if (was.bytes != is.bytes || was.files != is.files)
		tell(c, sid, &was, &is);
	return 0;
}

static int postpone(struct recount *c, const char *name, const char *sid)
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
	return 0;
}

static int visit(void *ctx, const char *name, const struct meta *meta, int error)
{
	struct recount *c = ctx;
	struct ledger_sum sum;
	_cleanup_close_ int dir = -1;
	bool fresh;

	if (!meta) {
		failed(c, name, error);
		return 0;
	}
	int r = users_enter(c->store, meta->sub, name, LIMIT_NONE, &fresh);
	if (r == 0)
		r = store_session_dir(c->store, name, &dir);
	if (r == 0)
		r = ledger_read(dir, NULL, NULL, NULL, &sum);
	if (r == 0 && !sum.counted && !sum.lines && !sum.garbage) /* nobody ever limited it, and nobody asks */
		return 0;
	if (r == 0)
		r = count(c, dir, meta->sid);
	if (r == -EBUSY || r == -EAGAIN)
		return postpone(c, name, meta->sid);
	if (r && r != -ENOENT) /* removed meanwhile */
		failed(c, meta->sid, r);
	return 0;
}

/* Whether more heartbeats would tell which of its open lines are a dead instance's. */
static int is_undecided(void *ctx, const char *instance, const struct ledger_line *line)
{
	struct recount *c = ctx;
	bool open;
	/* All are asked, so that the time of each runs from the first round on. */
	c->undecided |= line && line->open && !witness_ask(&c->witness, instance, line->run, &open) && open;
	return 0;
}

static bool wait_longer(struct recount *c)
{
	c->undecided = false;
	for (size_t i = 0; i < c->n; i++) {
		struct ledger_sum sum;
		_cleanup_close_ int dir = -1;
		if (store_session_dir(c->store, c->later[i].name, &dir) == 0)
			(void)ledger_read(dir, NULL, is_undecided, c, &sum);
	}
	return c->undecided;
}

static void wait_for_beats(struct recount *c)
{
	int64_t end = account_now() + LEDGER_DEAD + 4 * LOOK_MS; /* the first look and the last, and some more */
	while ((c->witness.now = account_now()) < end && wait_longer(c)) {
		progress_say(&c->progress, "%zu sessions in use, or of instances that died: waiting to see which",
			     c->n);
		usleep(LOOK_MS * 1000);
	}
}

/* Asks the instances that use it; one that nobody has counted yet they are counting. */
static int doubt(int dir)
{
	struct ledger_sum sum;
	int r = ledger_read(dir, NULL, NULL, NULL, &sum);
	return r || !sum.counted ? r : ledger_doubt(dir);
}

static void count_late(struct recount *c, const struct later *l)
{
	_cleanup_close_ int dir = -1;
	int r = store_session_dir(c->store, l->name, &dir);
	if (r == 0)
		r = count(c, dir, l->sid);
	if (r == -EBUSY || r == -EAGAIN) {
		r = doubt(dir);
		if (r == 0)
			tell_used(c, l->sid);
	}
	if (r && r != -ENOENT)
		failed(c, l->sid, r);
}

static int report(struct recount *c)
{
	if (!c->json) {
		printf("%zu sessions counted, %zu changed", c->counted, c->changed);
		if (c->in_use)
			printf(", %zu in use", c->in_use);
		putchar('\n');
		return flush_stdout();
	}
	_cleanup_json_ json_t *o = json_pack("{s:I, s:O, s:O}", "counted", (json_int_t)c->counted, "changed",
					     c->changes, "in_use", c->used);
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
	c.witness.storefd = store_fd(c.store);
	c.changes = json_array();
	c.used = json_array();
	progress_begin(&c.progress);
	c.witness.now = account_now();
	int r = c.changes && c.used ? store_each(c.store, visit, &c) : -ENOMEM;
	if (r == 0 && c.n)
		wait_for_beats(&c);
	for (size_t i = 0; r == 0 && i < c.n; i++)
		count_late(&c, &c.later[i]);
	progress_end(&c.progress);
	status = r ? complain(EXIT_FAILED, "%s: %s", store_path(c.store), strerror(-r)) : report(&c);
	json_decref(c.changes);
	json_decref(c.used);
	free(c.later);
	source_close(&source);
	return status == EXIT_DONE ? c.status : status;
}
