/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "audit.h"
#include "util.h"

/* Linux knows 133 of them; whatever is out of range is counted at 0 and called "other". */
#define ERRNO_MAX 200

#define SHARDS 16

/* One gauge may go up in one thread's shard and down in another's: only the sum means something. */
static struct shard {
	_Alignas(64) _Atomic uint64_t ops[STATS_OP_COUNT];
	_Atomic int64_t values[STATS_VALUE_COUNT];
	_Atomic uint64_t refused[ERRNO_MAX];
} shards[SHARDS];

static const char *const op_names[] = {
#define X(name) #name,
	STATS_OPS(X)
#undef X
};

static const struct {
	const char *metric, *type, *help;
} value_info[] = {
#define X(name, metric, type, help) {metric, type, help},
	STATS_VALUES(X)
#undef X
};

static struct shard *my_shard(void)
{
	static _Atomic unsigned next;
	static _Thread_local struct shard *mine;

	if (!mine)
		mine = &shards[atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % SHARDS];
	return mine;
}

#define ADD(counter, n) atomic_fetch_add_explicit(&(counter), (n), memory_order_relaxed)

#define SUM(type, member) \
	({ \
		type sum_ = 0; \
		for (size_t shard_ = 0; shard_ < SHARDS; shard_++) \
			sum_ += atomic_load_explicit(&shards[shard_].member, memory_order_relaxed); \
		sum_; \
	})

void stats_op(enum stats_op op)
{
	ADD(my_shard()->ops[op], 1);
}

void stats_add(enum stats_value value, int64_t n)
{
	ADD(my_shard()->values[value], n);
}

void stats_refused(int error)
{
	ADD(my_shard()->refused[error > 0 && error < ERRNO_MAX ? error : 0], 1);
}

const char *stats_op_name(enum stats_op op)
{
	return op_names[op];
}

int64_t stats_get(enum stats_value value)
{
	return SUM(int64_t, values[value]);
}

/* A family is what comes before the labels. */
static size_t family_len(const char *metric)
{
	return strcspn(metric, "{");
}

static void put_family(FILE *f, const char *metric, const char *type, const char *help)
{
	int len = (int)family_len(metric);
	fprintf(f, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, metric, help, len, metric, type);
}

/* Metrics of one family stand next to each other in STATS_VALUES: the format wants them together. */
static void put_values(FILE *f)
{
	const char *family = "";

	for (size_t i = 0; i < STATS_VALUE_COUNT; i++) {
		const char *metric = value_info[i].metric;
		size_t len = family_len(metric);
		if (len != family_len(family) || strncmp(metric, family, len) != 0)
			put_family(f, metric, value_info[i].type, value_info[i].help);
		family = metric;
		fprintf(f, "%s %" PRId64 "\n", metric, SUM(int64_t, values[i]));
	}
}

char *stats_format(size_t *len)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return NULL;

	put_family(f, "sessionfs_requests_total", "counter", "Requests by operation.");
	for (size_t i = 0; i < STATS_OP_COUNT; i++)
		fprintf(f, "sessionfs_requests_total{op=\"%s\"} %" PRIu64 "\n", op_names[i], SUM(uint64_t, ops[i]));

	put_family(f, "sessionfs_refusals_total", "counter", "Requests refused, by errno.");
	for (int i = 0; i < ERRNO_MAX; i++) {
		uint64_t count = SUM(uint64_t, refused[i]);
		if (count)
			fprintf(f, "sessionfs_refusals_total{errno=\"%s\"} %" PRIu64 "\n", i ? errno_name(i) : "other",
				count);
	}

	put_values(f);

	int failed = ferror(f);
	if (fclose(f) != 0 || failed)
		return NULL;
	*len = n;
	return steal_ptr(&text);
}
