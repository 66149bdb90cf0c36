/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

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

/*
 * The grammar of the text format, as far as it matters: a family begins with its HELP and TYPE, all its samples follow,
 * and it never comes again. Returns the number of samples, -1 for a fault.
 */
static int check_exposition(char *text)
{
	char seen[64][64], family[64] = "";
	size_t families = 0;
	bool typed = false;
	int samples = 0;

	for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[64], type[16];
		int end = 0;

		if (!strncmp(line, "# HELP ", 7)) {
			if (sscanf(line, "# HELP %63[a-z_] %n", name, &end) != 1 || !line[end])
				return -1;
			for (size_t i = 0; i < families; i++)
				if (!strcmp(seen[i], name))
					return -1;
			strcpy(seen[families++], name);
			strcpy(family, name);
			typed = false;
		} else if (line[0] == '#') {
			if (typed || sscanf(line, "# TYPE %63[a-z_] %15s%n", name, type, &end) != 2 || line[end] ||
			    strcmp(name, family) || (strcmp(type, "counter") && strcmp(type, "gauge")))
				return -1;
			typed = true;
			/* what promtool would say */
			if (!strcmp(type, "counter") !=
			    (strlen(name) > 6 && !strcmp(name + strlen(name) - 6, "_total")))
				return -1;
		} else {
			char *at, *number = strrchr(line, ' ');
			if (!typed || !number || sscanf(line, "%63[a-z_]", name) != 1 || strcmp(name, family))
				return -1;
			(void)strtoll(number + 1, &at, 10);
			char after = line[strlen(name)];
			if (*at || at == number + 1 || (after == '{' ? number[-1] != '}' : after != ' '))
				return -1;
			samples++;
		}
	}
	return samples;
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

int main(void)
{
	size_t len;
	char *text = stats_format(&len);

	is_int((long long)strlen(text), (long long)len, "the length is the text's");
	is_int(value(text, "sessionfs_requests_total{op=\"lookup\"}"), 0, "an operation that never came is there as 0");
	ok(!strstr(text, "errno="), "an errno that never came is not there");
	ok(has_line(text, "# TYPE sessionfs_refusals_total counter"), "its family is");
	is_int(check_exposition(text), STATS_OP_COUNT + STATS_VALUE_COUNT,
	       "every family has one HELP and one TYPE, then all of its samples");
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
	stats_refused(EACCES);
	stats_refused(EACCES);
	stats_refused(EKEYREVOKED);
	stats_refused(0);
	stats_refused(-1);
	stats_refused(1 << 30);
	text = stats_format(&len);
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
	is_int(check_exposition(text), STATS_OP_COUNT + STATS_VALUE_COUNT + 3, "and the text is still well-formed");
	free(text);

	is_str(stats_op_name(STATS_OP_readdirplus), "readdirplus", "operations have FUSE's names");
	return tap_done();
}
