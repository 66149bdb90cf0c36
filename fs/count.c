/* SPDX-License-Identifier: MIT */
#include "count.h"

#include <fcntl.h>
#include <string.h>

#include "proto/limits.h"
#include "stats.h"
#include "tree.h"
#include "util.h"

#define TRIES 4

struct reading {
	int session;
	const char *mine;
	struct witness *witness;
};

static bool is_dead(const struct reading *r, const char *instance, const struct ledger_line *line)
{
	return r->witness && witness_is_dead(r->witness, instance, line->run);
}

static int is_busy(void *ctx, const char *instance, const struct ledger_line *line)
{
	const struct reading *r = ctx;
	bool mine = r->mine && strcmp(instance, r->mine) == 0;
	return line && line->open && !mine && !is_dead(r, instance, line) ? -EBUSY : 0;
}

static int walk(int session, bool pace, uint64_t most, struct usage *ret)
{
	uint64_t files = 0, bytes = 0;
	_cleanup_close_ int data = openat(session, "data", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = data >= 0 ? tree_usage(data, pace, most, &files, &bytes) : errno == ENOENT ? 0 : -errno;
	/* Sparse files may be as large as they like; what is more than any limit is that. */
	*ret = (struct usage){bytes < LIMIT_MAX ? (int64_t)bytes : LIMIT_MAX, (int64_t)files};
	stats_add(STATS_quota_recounts, r == 0);
	return r;
}

int count_take(int session, const char *mine, struct witness *w, uint64_t most, bool pace, struct count *ret)
{
	struct reading reading = {session, mine, w};
	struct ledger_sum before;
	int r = -EAGAIN;
	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		r = ledger_read(session, mine, is_busy, &reading, &before);
		if (r == 0)
			r = walk(session, pace, most, &ret->tree);
		if (r == 0)
			r = ledger_read(session, mine, is_busy, &reading, &ret->sum);
		if (r == 0 && ret->sum.stamp != before.stamp)
			r = -EAGAIN;
	}
	return r;
}

/* A dead instance uses no grant any more, and the files that it held are closed. */
static int fold(void *ctx, const char *instance, const struct ledger_line *line)
{
	const struct reading *r = ctx;
	bool mine = r->mine && strcmp(instance, r->mine) == 0;
	if (!line || mine || !is_dead(r, instance, line) || (!line->open && !line->held.bytes && !line->held.files))
		return 0;
	struct usage used = {line->used.bytes - line->held.bytes, line->used.files - line->held.files};
	struct ledger_line closed = {.version = line->version + 1, .used = used, .granted = used};
	memcpy(closed.run, line->run, sizeof(closed.run));
	return ledger_write(r->session, instance, &closed);
}

int count_keep(struct store *s, int session, const char *mine, struct witness *w, const struct count *c,
	       const struct usage *own)
{
	struct reading reading = {session, mine, w};
	struct ledger_sum sum = c->sum;
	int64_t bytes = c->tree.bytes - (sum.used.bytes - sum.held.bytes) - own->bytes;
	struct usage base = {bytes < LIMIT_MAX ? bytes : LIMIT_MAX,
			     c->tree.files - (sum.used.files - sum.held.files) - own->files};
	/* Where nothing was ever written, a base of nothing says nothing. */
	int r = 0;
	if (sum.garbage || (!sum.counted && sum.lines) || memcmp(&base, &sum.base, sizeof(base)) != 0)
		r = ledger_write_base(session, &base);
	if (r == 0 && sum.doubted)
		r = ledger_believe(session);
	if (r == 0 && sum.garbage)
		r = ledger_clear(s, session);
	return r ? r : ledger_read(session, mine, fold, &reading, &sum);
}
