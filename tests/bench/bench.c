/* SPDX-License-Identifier: MIT */
/*
 * What `make bench` measures. See tests/bench/run, which sets up and reads what is printed here: one JSON object a line.
 *
 *     bench counts|counts-shared MOUNT SID TOKEN UID
 *         requests that the daemon served for each of some operations, from .sessionfs/metrics
 *     bench rates MOUNT SID TOKEN UID PLAIN WORKLOAD THREADS ROUNDS
 *         nanoseconds for each round of a workload, in the session and in the directory PLAIN by turns
 *
 * TOKEN is a file. The work is done as UID, each thread bound for itself.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define CHUNK (128 * 1024)
#define MIB (1024 * 1024)
#define READ_SIZE (32 * MIB)
#define WRITE_SIZE (16 * MIB)

static const char *mount_path;
static char bind_line[8192];

static void must(bool fine, const char *what)
{
	if (!fine)
		err(1, "%s", what);
}

/* The writing thread alone is bound, for as long as the descriptor is open. */
static int bind_thread(void)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/.sessionfs/thread", mount_path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	must(fd >= 0, path);
	must(write(fd, bind_line, strlen(bind_line)) == (ssize_t)strlen(bind_line), "bind");
	return fd;
}

static void read_token(const char *path)
{
	FILE *f = fopen(path, "re");
	char token[4100];
	must(f && fgets(token, sizeof(token), f), path);
	fclose(f);
	token[strcspn(token, "\n")] = '\0';
	snprintf(bind_line, sizeof(bind_line), "bind %s\n", token);
}

static void become(uid_t uid, uid_t saved)
{
	must(setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, saved) == 0, "setresuid");
}

static int open_file(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_CLOEXEC, 0644);
	must(fd >= 0, name);
	return fd;
}

static char block[CHUNK];

static void write_some(int fd, size_t len)
{
	must(write(fd, block, len) == (ssize_t)len, "write");
}

static void make_file(int dir, const char *name, size_t size)
{
	int fd = open_file(dir, name, O_CREAT | O_WRONLY | O_TRUNC);
	for (size_t done = 0; done < size; done += done + CHUNK <= size ? CHUNK : size - done)
		write_some(fd, done + CHUNK <= size ? CHUNK : size - done);
	close(fd);
}

/* --- requests for each operation ------------------------------------------------------------------------------------ */

#define REPEATS 64
#define OPS_MAX 64

struct metrics {
	int n;
	struct {
		char op[32];
		uint64_t count;
	} ops[OPS_MAX];
};

static int session, control;

static const char *numbered(const char *stem, int i)
{
	static char name[2][32];
	static int turn;
	char *buf = name[turn++ & 1];
	snprintf(buf, sizeof(name[0]), "%s%d", stem, i);
	return buf;
}

/* They are root's, and those of the moment when the file is opened. */
static void read_metrics(struct metrics *m)
{
	char path[PATH_MAX], line[1024];
	uid_t uid = geteuid();
	snprintf(path, sizeof(path), "%s/.sessionfs/metrics", mount_path);
	must(seteuid(0) == 0, "seteuid");
	FILE *f = fopen(path, "re");
	must(f, path);
	m->n = 0;
	while (fgets(line, sizeof(line), f))
		if (m->n < OPS_MAX && sscanf(line, "sessionfs_requests_total{op=\"%31[a-z_]\"} %" SCNu64,
					     m->ops[m->n].op, &m->ops[m->n].count) == 2)
			m->n++;
	fclose(f);
	must(seteuid(uid) == 0, "seteuid");
	if (m->n == 0)
		errx(1, "%s: no sessionfs_requests_total", path);
}

static void do_stat(int i)
{
	struct stat st;
	(void)i;
	must(fstatat(session, "file", &st, 0) == 0, "stat");
}

static void do_read(int i)
{
	char buf[BLOCK];
	(void)i;
	int fd = open_file(session, "file", O_RDONLY);
	must(read(fd, buf, sizeof(buf)) == sizeof(buf), "read");
	close(fd);
}

static void do_create(int i)
{
	int fd = open_file(session, numbered("create", i), O_CREAT | O_EXCL | O_WRONLY);
	write_some(fd, BLOCK);
	close(fd);
}

static void do_truncate(int i)
{
	(void)i;
	int fd = open_file(session, "file", O_WRONLY | O_TRUNC);
	write_some(fd, BLOCK);
	close(fd);
}

static void do_writes(int i)
{
	(void)i;
	int fd = open_file(session, "file", O_WRONLY);
	for (int n = 0; n < 4; n++)
		write_some(fd, BLOCK);
	close(fd);
}

static void make_victim(int i)
{
	make_file(session, numbered("victim", i), 1);
}

static void do_unlink(int i)
{
	must(unlinkat(session, numbered("victim", i), 0) == 0, "unlink");
}

static void do_rename(int i)
{
	must(renameat(session, numbered("victim", i), session, numbered("renamed", i)) == 0, "rename");
}

static void do_list(int i)
{
	/* With a path, as applications do: opendir() is open and fstat. */
	char path[64];
	(void)i;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/dir", session);
	DIR *d = opendir(path);
	must(d, "opendir");
	while (readdir(d))
		;
	closedir(d);
}

static void do_bind(int i)
{
	(void)i;
	must(write(control, bind_line, strlen(bind_line)) == (ssize_t)strlen(bind_line), "bind");
}

static void do_nothing(int i)
{
	(void)i;
}

/*
 * Requests at most: the design's, for unique names with long entry timeouts; and with cache = shared, where each name on
 * the way is looked up (one here: below a held directory) and a writer's close flushes. RELEASE and FORGET are not counted.
 */
static const struct {
	const char *name;
	int target[2];
	void (*prepare)(int i), (*run)(int i);
} operations[] = {
	{"stat", {1, 2}, do_stat, do_stat},
	{"open, read, close", {1, 2}, do_read, do_read},
	{"create, write, close", {3, 4}, do_nothing, do_create},
	{"open to truncate, write, close", {2, 4}, do_truncate, do_truncate},
	{"open, 4 writes, close", {5, 7}, do_writes, do_writes},
	{"rename", {2, 3}, make_victim, do_rename},
	{"unlink", {1, 2}, make_victim, do_unlink},
	{"opendir, readdir, closedir", {4, 5}, do_list, do_list},
	{"bind, the token seen before", {1, 1}, do_bind, do_bind},
};

static bool uncounted(const char *op)
{
	return strcmp(op, "release") == 0 || strcmp(op, "releasedir") == 0 || strcmp(op, "forget") == 0;
}

/* What run alone made the daemon serve; reading the metrics is the same with and without it. */
static void measure(void (*run)(int i), struct metrics *ret)
{
	struct metrics before, between;
	read_metrics(&before);
	read_metrics(&between);
	for (int i = 0; i < REPEATS; i++)
		run(i);
	read_metrics(ret);
	for (int k = 0; k < ret->n; k++)
		ret->ops[k].count -= between.ops[k].count + (between.ops[k].count - before.ops[k].count);
}

static void counts(const char *sid, uid_t uid, bool shared)
{
	char path[PATH_MAX];
	become(uid, 0); /* read_metrics() goes back */
	control = bind_thread();
	snprintf(path, sizeof(path), "%s/%s", mount_path, sid);
	session = open_file(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
	make_file(session, "file", 4 * BLOCK);
	must(mkdirat(session, "dir", 0755) == 0, "mkdir");
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "dir/%d", i);
		make_file(session, path, 1);
	}

	for (size_t k = 0; k < sizeof(operations) / sizeof(operations[0]); k++) {
		struct metrics m;
		uint64_t total = 0;
		const char *comma = "";
		for (int i = 0; i < REPEATS; i++)
			operations[k].prepare(i);
		measure(operations[k].run, &m);
		printf("{\"operation\":\"%s\",\"target\":%d,\"repeats\":%d,\"sent\":{", operations[k].name,
		       operations[k].target[shared], REPEATS);
		for (int i = 0; i < m.n; i++) {
			if (m.ops[i].count == 0 || uncounted(m.ops[i].op))
				continue;
			total += m.ops[i].count;
			printf("%s\"%s\":%" PRIu64, comma, m.ops[i].op, m.ops[i].count);
			comma = ",";
		}
		printf("},\"requests\":%" PRIu64 "}\n", total);
	}
}

/* --- rates ---------------------------------------------------------------------------------------------------------- */

struct place {
	int dir, fd;
	char name[32]; /* of this thread's file */
};

static void prepare_read(struct place *p)
{
	make_file(p->dir, p->name, READ_SIZE);
	p->fd = open_file(p->dir, p->name, O_RDONLY);
}

static void round_read(struct place *p)
{
	char *buf = malloc(CHUNK);
	for (off_t at = 0; at < READ_SIZE; at += CHUNK)
		must(pread(p->fd, buf, CHUNK, at) == CHUNK, "read");
	free(buf);
}

static void prepare_write(struct place *p)
{
	make_file(p->dir, p->name, WRITE_SIZE);
	p->fd = open_file(p->dir, p->name, O_WRONLY);
}

static void round_write(struct place *p)
{
	for (off_t at = 0; at < WRITE_SIZE; at += CHUNK)
		must(pwrite(p->fd, block, CHUNK, at) == CHUNK, "write");
}

static void round_small_write(struct place *p)
{
	for (off_t at = 0; at < 1000 * BLOCK; at += BLOCK)
		must(pwrite(p->fd, block, BLOCK, at) == BLOCK, "write");
}

static void prepare_small(struct place *p)
{
	make_file(p->dir, p->name, BLOCK);
}

static void round_stat(struct place *p)
{
	struct stat st;
	for (int i = 0; i < 1000; i++)
		must(fstatat(p->dir, p->name, &st, 0) == 0, "stat");
}

static void round_open(struct place *p)
{
	char buf[BLOCK];
	for (int i = 0; i < 500; i++) {
		int fd = open_file(p->dir, p->name, O_RDONLY);
		must(read(fd, buf, sizeof(buf)) == sizeof(buf), "read");
		close(fd);
	}
}

static void prepare_none(struct place *p)
{
	(void)p;
}

static void round_create(struct place *p)
{
	for (int i = 0; i < 200; i++) {
		int fd = open_file(p->dir, p->name, O_CREAT | O_EXCL | O_WRONLY);
		write_some(fd, BLOCK);
		close(fd);
		must(unlinkat(p->dir, p->name, 0) == 0, "unlink");
	}
}

/* work is bytes or operations in a round of one thread. */
static const struct workload {
	const char *name, *unit;
	uint64_t work;
	void (*prepare)(struct place *p), (*round)(struct place *p);
} workloads[] = {
	{"read", "bytes", READ_SIZE, prepare_read, round_read},
	{"write", "bytes", WRITE_SIZE, prepare_write, round_write},
	{"write-4k", "operations", 1000, prepare_write, round_small_write},
	{"stat", "operations", 1000, prepare_small, round_stat},
	{"open-read-close", "operations", 500, prepare_small, round_open},
	{"create-write-close-unlink", "operations", 200, prepare_none, round_create},
};

static const struct workload *workload;
static const char *dirs[2]; /* the session, and the plain directory */
static int nthreads, rounds;
static pthread_barrier_t barrier;

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Thread 0 reads the clock: from the moment when all begin to that when the last has ended. */
static void *work(void *arg)
{
	int me = (int)(intptr_t)arg;
	struct place places[2];
	int bound = bind_thread();
	for (int k = 0; k < 2; k++) {
		places[k] = (struct place){.dir = open_file(AT_FDCWD, dirs[k], O_RDONLY | O_DIRECTORY), .fd = -1};
		snprintf(places[k].name, sizeof(places[k].name), "%s.%d", workload->name, me);
		workload->prepare(&places[k]);
		workload->round(&places[k]); /* warm */
	}
	for (int r = 0; r < rounds; r++) {
		int64_t ns[2] = {0, 0};
		for (int k = 0; k < 2; k++) {
			int where = (k + r) & 1; /* first here, then there, and the other way round */
			pthread_barrier_wait(&barrier);
			int64_t start = now_ns();
			workload->round(&places[where]);
			pthread_barrier_wait(&barrier);
			ns[where] = now_ns() - start;
		}
		if (me == 0)
			printf("%s[%" PRId64 ",%" PRId64 "]", r ? "," : "", ns[0], ns[1]);
	}
	for (int k = 0; k < 2; k++) {
		if (places[k].fd >= 0)
			close(places[k].fd);
		unlinkat(places[k].dir, places[k].name, 0);
		close(places[k].dir);
	}
	close(bound);
	return NULL;
}

static void rates(const char *sid, uid_t uid, const char *plain, const char *name)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", mount_path, sid);
	dirs[0] = path;
	dirs[1] = plain;
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(workloads[i].name, name) == 0)
			workload = &workloads[i];
	if (!workload || nthreads < 1 || nthreads > 64 || rounds < 1)
		errx(2, "no such workload, number of threads, or number of rounds");
	become(uid, uid);

	pthread_t threads[64];
	printf("{\"workload\":\"%s\",\"threads\":%d,\"unit\":\"%s\",\"work\":%" PRIu64 ",\"rounds\":[", workload->name,
	       nthreads, workload->unit, workload->work * (uint64_t)nthreads);
	pthread_barrier_init(&barrier, NULL, (unsigned)nthreads);
	for (int i = 0; i < nthreads; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) != 0)
			errx(1, "pthread_create");
	for (int i = 0; i < nthreads; i++)
		pthread_join(threads[i], NULL);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	bool shared = argc == 6 && strcmp(argv[1], "counts-shared") == 0;
	bool count = shared || (argc == 6 && strcmp(argv[1], "counts") == 0);
	bool rate = argc == 10 && strcmp(argv[1], "rates") == 0;
	if (!count && !rate)
		errx(2,
		     "usage: bench counts|counts-shared MOUNT SID TOKEN UID | rates MOUNT SID TOKEN UID PLAIN WORKLOAD THREADS ROUNDS");
	mount_path = argv[2];
	read_token(argv[4]);
	uid_t uid = (uid_t)strtoul(argv[5], NULL, 10);
	memset(block, 'x', sizeof(block));
	if (count) {
		counts(argv[3], uid, shared);
		return 0;
	}
	nthreads = atoi(argv[8]);
	rounds = atoi(argv[9]);
	rates(argv[3], uid, argv[6], argv[7]);
	return 0;
}
