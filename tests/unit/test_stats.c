/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exposition.h"
#include "tests/unit/tap.h"

/* What is printed, to be freed. */
static char *format(void)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	stats_print(f);
	fclose(f);
	return text;
}

static bool has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *p = text; (p = strstr(p, line)); p++)
		if ((p == text || p[-1] == '\n') && p[n] == '\n')
			return true;
	return false;
}

/* The value of a series, -1 where it is missing or there twice. */
static long long value(const char *text, const char *series)
{
	size_t n = strlen(series);
	long long ret = -1;
	int found = 0;

	for (const char *p = text; (p = strstr(p, series)); p += n)
		if ((p == text || p[-1] == '\n') && p[n] == ' ') {
			ret = strtoll(p + n + 1, NULL, 10);
			found++;
		}
	return found == 1 ? ret : -1;
}

enum { THREADS = 20, ROUNDS = 10000 };

static void *work(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		stats_op(STATS_OP_lookup);
		stats_add(STATS_open_files, 1);
		stats_add(STATS_open_files, -1);
		stats_add(STATS_written, 4096);
	}
	return unused;
}

/* A request that takes so long, at least. */
static void request(enum stats_op op, long ms)
{
	struct timespec t = {.tv_nsec = ms * 1000000};

	stats_begin();
	stats_op(op);
	if (ms)
		nanosleep(&t, NULL);
	stats_end();
}

static void test_seconds(void)
{
	request(STATS_OP_fsync, 0);
	request(STATS_OP_fsync, 30);
	stats_begin();
	stats_end();               /* one that is nobody's */
	stats_op(STATS_OP_forget); /* one that is not timed */
	stats_end();
	char *text = format();

	is_int(value(text, "sessionfs_request_seconds_count{op=\"fsync\"}"), 2, "two requests are timed");
	is_int(value(text, "sessionfs_request_seconds_bucket{op=\"fsync\",le=\"+Inf\"}"), 2, "the last bucket has all");
	is_int(value(text, "sessionfs_request_seconds_bucket{op=\"fsync\",le=\"0.025\"}"), 1,
	       "the one of 25 ms has one alone");
	is_int(value(text, "sessionfs_request_seconds_bucket{op=\"fsync\",le=\"10\"}"), 2, "that of 10 s has both");
	const char *sum = strstr(text, "sessionfs_request_seconds_sum{op=\"fsync\"} 0.");
	ok(sum && strtod(strchr(sum, ' '), NULL) >= 0.03, "the sum is in seconds");
	long long last = 0;
	int falls = 0, buckets = 0;
	for (const char *p = text; (p = strstr(p, "_bucket{op=\"fsync\"")); p++) {
		long long n = strtoll(strchr(p, ' '), NULL, 10);
		falls += n < last;
		last = n;
		buckets++;
	}
	ok(falls == 0 && buckets > 5, "each bucket has what is in those before it");
	ok(!strstr(text, "seconds_count{op=\"forget\"}"), "what was not begun is not timed");
	free(text);
}

static void test_labels(void)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	exposition_family(f, "x{a=\"b\"}", "gauge", "X.");
	exposition_label(f, "a", "/srv/\"up\"\\x\nü\xff\xe2\x82");
	fclose(f);
	is_str(text, "# HELP x X.\n# TYPE x gauge\na=\"/srv/\\\"up\\\"\\\\x\\nü\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
	       "labels are escaped, and are UTF-8");
	free(text);
}

int main(void)
{
	char *text = format();

	is_int(value(text, "sessionfs_requests_total{op=\"lookup\"}"), 0, "an operation that never came is there as 0");
	ok(!strstr(text, "errno="), "an errno that never came is not there");
	ok(has_line(text, "# TYPE sessionfs_refusals_total counter"), "its family is");
	is_int(value(text, "sessionfs_refusal_reasons_total{reason=\"another-session\"}"), 0,
	       "a reason that never came is there as 0");
	ok(!strstr(text, "sessionfs_request_seconds_"), "an operation that never came has no histogram");
	ok(has_line(text, "# TYPE sessionfs_request_seconds histogram"), "but the family is there");
	free(text);

	/* More threads than shards; each also takes down what it put up. */
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	is_int(stats_get(STATS_written), (long long)THREADS * ROUNDS * 4096, "no thread's count is lost");
	is_int(stats_get(STATS_open_files), 0, "a gauge comes back to 0");

	stats_add(STATS_nodes, 5);
	stats_add(STATS_nodes, -2);
	stats_add(STATS_bind_thread, 1);
	stats_add(STATS_bind_handle, 2);
	stats_op(STATS_OP_copy_file_range);
	stats_refused(EACCES, REASON_none);
	stats_refused(EACCES, REASON_control_file);
	stats_refused(EKEYREVOKED, REASON_none);
	stats_refused(EKEYEXPIRED, REASON_none);
	stats_refused(EKEYEXPIRED, reason_of_fault(TOKEN_EXPIRED));
	stats_refused(EKEYREJECTED, reason_of_fault(TOKEN_LIFETIME));
	stats_refused(0, REASON_none);
	stats_refused(-1, REASON_none);
	stats_refused(1 << 30, REASON_none);
	text = format();
	is_int(value(text, "sessionfs_requests_total{op=\"lookup\"}"), (long long)THREADS * ROUNDS,
	       "requests are counted by operation");
	is_int(value(text, "sessionfs_requests_total{op=\"copy_file_range\"}"), 1, "under FUSE's names");
	is_int(value(text, "sessionfs_nodes"), 3, "a gauge goes down");
	is_int(value(text, "sessionfs_binds_total{scope=\"thread\"}"), 1, "binds are counted by scope: thread");
	is_int(value(text, "sessionfs_binds_total{scope=\"process\"}"), 0, "process");
	is_int(value(text, "sessionfs_binds_total{scope=\"handle\"}"), 2, "handle");
	is_int(value(text, "sessionfs_refusals_total{errno=\"EACCES\"}"), 2, "refusals are counted by errno");
	is_int(value(text, "sessionfs_refusals_total{errno=\"EKEYREVOKED\"}"), 1, "each by its own");
	is_int(value(text, "sessionfs_refusals_total{errno=\"other\"}"), 3, "what is no errno is counted as other");
	is_int(value(text, "sessionfs_refusal_reasons_total{reason=\"another-session\"}"), 1,
	       "and by reason: what the errno stands for where none is given");
	is_int(value(text, "sessionfs_refusal_reasons_total{reason=\"control-file\"}"), 1, "else that one");
	is_int(value(text, "sessionfs_refusal_reasons_total{reason=\"expired\"}"), 2,
	       "an expired token is counted with what is expired");
	is_int(value(text, "sessionfs_refusal_reasons_total{reason=\"bad-lifetime\"}"), 1,
	       "any other fault of a token by itself");
	is_int(value(text, "sessionfs_refusal_reasons_total{reason=\"other\"}"), 3, "and what is none as other");
	ok(!strstr(text, "reason=\"ok\""), "nothing is refused because it is right");
	free(text);

	stats_set(STATS_reaper_last, 1000);
	stats_set(STATS_reaper_last, 1);
	is_int(stats_get(STATS_reaper_last), 1, "a gauge that is set is what it was set to last");
	test_seconds();
	test_labels();

	is_str(stats_op_name(STATS_OP_readdirplus), "readdirplus", "operations have FUSE's names");
	return tap_done();
}
