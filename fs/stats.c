/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "audit.h"
#include "exposition.h"

/* Linux knows 133 of them; whatever is out of range is counted at 0 and called "other". */
#define ERRNO_MAX 200

#define SHARDS 16

#define X(ns, label) +1
enum { BUCKETS = STATS_BUCKETS(X) + 1 };
#undef X

static const struct {
	uint64_t ns; /* at most */
	const char *label;
} buckets[BUCKETS] = {
#define X(ns, label) {ns, label},
	STATS_BUCKETS(X){UINT64_MAX, "+Inf"},
#undef X
};

/* One gauge may go up in one thread's shard and down in another's: only the sum means something. */
static struct shard {
	_Alignas(64) _Atomic uint64_t ops[STATS_OP_COUNT];
	_Atomic int64_t values[STATS_VALUE_COUNT];
	_Atomic uint64_t refused[ERRNO_MAX];
	_Atomic uint64_t reasons[REASON_COUNT];
	_Atomic uint64_t took[STATS_OP_COUNT][BUCKETS]; /* requests, each in one bucket */
	_Atomic uint64_t ns[STATS_OP_COUNT];            /* and all their time */
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

/* The request that the thread is at. */
static _Thread_local struct {
	uint64_t began; /* monotonic nanoseconds; 0: none */
	int op;         /* -1: it has not said yet */
} current;

static struct shard *my_shard(void)
{
	static _Atomic unsigned next;
	static _Thread_local struct shard *mine;

	if (!mine)
		mine = &shards[atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % SHARDS];
	return mine;
}

/* Through the vDSO: no system call. */
static uint64_t monotonic_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

#define ADD(counter, n) atomic_fetch_add_explicit(&(counter), (n), memory_order_relaxed)

#define SUM(type, member) \
	({ \
		type sum_ = 0; \
		for (size_t shard_ = 0; shard_ < SHARDS; shard_++) \
			sum_ += atomic_load_explicit(&shards[shard_].member, memory_order_relaxed); \
		sum_; \
	})

void stats_begin(void)
{
	current.began = monotonic_ns();
	current.op = -1;
}

void stats_op(enum stats_op op)
{
	current.op = (int)op;
	ADD(my_shard()->ops[op], 1);
}

void stats_end(void)
{
	uint64_t began = current.began;
	current.began = 0;
	if (!began || current.op < 0)
		return;
	uint64_t ns = monotonic_ns() - began;
	size_t bucket = 0;
	while (ns > buckets[bucket].ns)
		bucket++;
	ADD(my_shard()->took[current.op][bucket], 1);
	ADD(my_shard()->ns[current.op], ns);
}

void stats_add(enum stats_value value, int64_t n)
{
	ADD(my_shard()->values[value], n);
}

void stats_set(enum stats_value value, int64_t n)
{
	stats_add(value, n - stats_get(value));
}

void stats_refused(int error, enum reason reason)
{
	ADD(my_shard()->refused[error > 0 && error < ERRNO_MAX ? error : 0], 1);
	ADD(my_shard()->reasons[reason_or(reason, error)], 1);
}

const char *stats_op_name(enum stats_op op)
{
	return op_names[op];
}

int64_t stats_get(enum stats_value value)
{
	return SUM(int64_t, values[value]);
}

/* --- the text --- */

static void put_requests(FILE *f)
{
	exposition_family(f, "sessionfs_requests_total", "counter", "Requests by operation.");
	for (size_t i = 0; i < STATS_OP_COUNT; i++)
		fprintf(f, "sessionfs_requests_total{op=\"%s\"} %" PRIu64 "\n", op_names[i], SUM(uint64_t, ops[i]));
}

/* Of operations that came: some never do. Each bucket is read once, so that they rise and the last is the count. */
static void put_seconds(FILE *f)
{
	static const char family[] = "sessionfs_request_seconds";

	exposition_family(f, family, "histogram",
			  "Time in the daemon, from when a request was read until its thread was free again.");
	for (size_t i = 0; i < STATS_OP_COUNT; i++) {
		uint64_t ns = SUM(uint64_t, ns[i]), counts[BUCKETS], count = 0;
		for (size_t j = 0; j < BUCKETS; j++)
			count += counts[j] = SUM(uint64_t, took[i][j]);
		if (!count)
			continue;
		count = 0;
		for (size_t j = 0; j < BUCKETS; j++) {
			count += counts[j];
			fprintf(f, "%s_bucket{op=\"%s\",le=\"%s\"} %" PRIu64 "\n", family, op_names[i],
				buckets[j].label, count);
		}
		fprintf(f, "%s_sum{op=\"%s\"} %" PRIu64 ".%09" PRIu64 "\n", family, op_names[i], ns / 1000000000,
			ns % 1000000000);
		fprintf(f, "%s_count{op=\"%s\"} %" PRIu64 "\n", family, op_names[i], count);
	}
}

static void put_refusals(FILE *f)
{
	exposition_family(f, "sessionfs_refusals_total", "counter", "Requests refused, by errno.");
	for (int i = 0; i < ERRNO_MAX; i++) {
		uint64_t count = SUM(uint64_t, refused[i]);
		if (count)
			fprintf(f, "sessionfs_refusals_total{errno=\"%s\"} %" PRIu64 "\n", i ? errno_name(i) : "other",
				count);
	}
	exposition_family(f, "sessionfs_refusal_reasons_total", "counter",
			  "The same requests, by reason: the words of sessionfs-control(5).");
	for (size_t i = 0; i < REASON_COUNT; i++)
		if (reason_word((enum reason)i))
			fprintf(f, "sessionfs_refusal_reasons_total{reason=\"%s\"} %" PRIu64 "\n",
				reason_word((enum reason)i), SUM(uint64_t, reasons[i]));
}

/* Metrics of one family stand next to each other in STATS_VALUES: the format wants them together. */
static void put_values(FILE *f)
{
	const char *family = "";

	for (size_t i = 0; i < STATS_VALUE_COUNT; i++) {
		const char *metric = value_info[i].metric;
		size_t len = strcspn(metric, "{");
		if (len != strcspn(family, "{") || strncmp(metric, family, len) != 0)
			exposition_family(f, metric, value_info[i].type, value_info[i].help);
		family = metric;
		fprintf(f, "%s %" PRId64 "\n", metric, stats_get((enum stats_value)i));
	}
}

void stats_print(FILE *f)
{
	put_requests(f);
	put_seconds(f);
	put_refusals(f);
	put_values(f);
}
