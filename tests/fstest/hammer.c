/* SPDX-License-Identifier: MIT */
/*
 * hammer [-r ROUNDS] [-s SEED] [-t SECONDS] [-fz] [-a MOUNT] MOUNT threads|processes|handles|switch TOKEN-FILE…
 *
 * One worker for each token, all at once, under the same relative names: create, write, read back, rename, unlink, list,
 * and now and then a grab at a neighbour's session. One foreign byte, name or size is a failure. Prints TAP.
 *
 * Content is a function of session and position alone, and a size tells its session, so what is foreign shows in any
 * one byte. In the first three modes a worker is alone in its session, and knows exactly what must be there. In `switch`
 * each worker binds the sessions in turn on one control file, so several are in one session at a time: then names may
 * come and go and files may be seen half-written, but bytes, sizes and names of another session may never be seen.
 *
 * -a: another mount of the same store, with cache = shared on both. Each worker is bound on both, and each operation is made
 * through any one of them: what was left through one must be what is found through the other. At the end everything is
 * read once more through each. -f: fsync after each write. -t: for so many seconds, however many rounds that are. -z: in
 * `switch` a hole may be seen (a NUL, which no session has): between hosts a write of several pages and a truncation of
 * the same file have no order; .nfs… may be listed, and a name that two rename at once be busy. The longest that any one
 * operation took is told, and not judged.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bind.h"

enum { WORKERS_MAX = 16, NAMES = 12, PAGE = 4096, STEP = 16, SIZES = 40, SIZE_MAX_BYTES = SIZES * WORKERS_MAX * STEP };

enum mode { THREADS, PROCESSES, HANDLES, SWITCH };
static const char *const mode_names[] = {"threads", "processes", "handles", "switch"};

struct session {
	const char *token_file;
	char sid[129];
	int number;
};

/* Shared by all workers, processes too. */
struct tally {
	atomic_long operations, grabs, refused, foreign, wrong, failed, bound, rounds, longest; /* longest in ms */
	atomic_int said;
};

static const char *mounts[2];
static int nmounts;
static long seconds;
static int sync_files, holes;
static enum mode mode;
static long rounds = 200;
static uint64_t seed = 20240229;
static struct session sessions[WORKERS_MAX];
static int count;
static struct tally *tally;

struct worker {
	int number;
	uint64_t random;
	const struct session *in;   /* the session that it is bound to */
	int at;                     /* the mount of the operation at hand */
	char dir[2][PATH_MAX - 64]; /* and where the session is, on each */
	int size[NAMES];            /* of the files that there are; -1: there is none */
};

/* Counts one fault, and tells of the first few. */
__attribute__((format(printf, 3, 4))) static void fault(struct worker *w, atomic_long *kind, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	atomic_fetch_add(kind, 1);
	if (atomic_fetch_add(&tally->said, 1) >= 20)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	printf("# worker %d in %s: %s\n", w->number, w->in->sid, text);
	fflush(stdout);
}

static uint32_t any(struct worker *w, uint32_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)(w->random >> 33) % n;
}

static char byte_of(const struct session *s, size_t at)
{
	size_t len = strlen(s->sid);

	return at % (len + 1) == len ? '\n' : s->sid[at % (len + 1)];
}

static int size_of(const struct session *s, uint32_t step)
{
	return (int)((step * WORKERS_MAX + (uint32_t)s->number) * STEP + 1);
}

/* Whether a size may be seen in a session: that of a whole file, or of what is there of one that is being written. */
static int size_is_own(const struct session *s, long long size)
{
	return (mode == SWITCH && size % PAGE == 0) || (size % STEP == 1 && size / STEP % WORKERS_MAX == s->number);
}

static void path_of(const struct worker *w, char path[static PATH_MAX], uint32_t name)
{
	snprintf(path, PATH_MAX, "%s/file-%02u.csv", w->dir[w->at], name);
}

/* In `switch` another worker may have been first. */
static int lost_race(int error)
{
	return mode == SWITCH &&
	       (error == ENOENT || error == EEXIST || (holes && (error == ETXTBSY || error == ESTALE)));
}

static void check_size(struct worker *w, const char *what, uint32_t name, long long size)
{
	if (!size_is_own(w->in, size))
		fault(w, &tally->foreign, "%s file-%02u: a size of %lld", what, name, size);
	else if (mode != SWITCH && size != w->size[name])
		fault(w, &tally->wrong, "%s file-%02u: %lld bytes instead of %d", what, name, size, w->size[name]);
}

static void do_write(struct worker *w, uint32_t name)
{
	char path[PATH_MAX], text[SIZE_MAX_BYTES];
	int size = size_of(w->in, any(w, SIZES));

	for (int i = 0; i < size; i++)
		text[i] = byte_of(w->in, (size_t)i);
	path_of(w, path, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		if (!lost_race(errno))
			fault(w, &tally->failed, "create file-%02u: %s", name, strerror(errno));
		return;
	}
	if (write(fd, text, (size_t)size) != size)
		fault(w, &tally->failed, "write file-%02u: %s", name, strerror(errno));
	if (sync_files && fsync(fd) < 0)
		fault(w, &tally->failed, "fsync file-%02u: %s", name, strerror(errno));
	if (close(fd) < 0)
		fault(w, &tally->failed, "close file-%02u: %s", name, strerror(errno));
	w->size[name] = size;
}

static void do_read(struct worker *w, uint32_t name)
{
	char path[PATH_MAX], text[SIZE_MAX_BYTES + 1];

	path_of(w, path, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		if (mode != SWITCH && (errno != ENOENT || w->size[name] >= 0))
			fault(w, &tally->failed, "open file-%02u: %s", name, strerror(errno));
		else if (mode == SWITCH && errno != ENOENT)
			fault(w, &tally->failed, "open file-%02u: %s", name, strerror(errno));
		return;
	}
	ssize_t n = read(fd, text, sizeof text);
	close(fd);
	if (n < 0) {
		fault(w, &tally->failed, "read file-%02u: %s", name, strerror(errno));
		return;
	}
	check_size(w, "read", name, n);
	for (ssize_t i = 0; i < n; i++)
		if (text[i] != byte_of(w->in, (size_t)i) && !(holes && mode == SWITCH && !text[i])) {
			fault(w, &tally->foreign, "file-%02u, byte %zd: 0x%02x instead of 0x%02x", name, i,
			      (unsigned char)text[i], (unsigned char)byte_of(w->in, (size_t)i));
			return;
		}
}

static void do_stat(struct worker *w, uint32_t name)
{
	char path[PATH_MAX];
	struct stat st;

	path_of(w, path, name);
	if (stat(path, &st) == 0)
		check_size(w, "stat", name, st.st_size);
	else if (errno != ENOENT || (mode != SWITCH && w->size[name] >= 0))
		fault(w, &tally->failed, "stat file-%02u: %s", name, strerror(errno));
}

static void do_rename(struct worker *w, uint32_t name)
{
	char from[PATH_MAX], to[PATH_MAX];
	uint32_t other = any(w, NAMES);

	path_of(w, from, name);
	path_of(w, to, other);
	if (rename(from, to) == 0) {
		if (other != name) {
			w->size[other] = w->size[name];
			w->size[name] = -1;
		}
	} else if (!lost_race(errno) && (errno != ENOENT || (mode != SWITCH && w->size[name] >= 0))) {
		fault(w, &tally->failed, "rename file-%02u: %s", name, strerror(errno));
	}
}

static void do_unlink(struct worker *w, uint32_t name)
{
	char path[PATH_MAX];

	path_of(w, path, name);
	if (unlink(path) < 0 && (errno != ENOENT || (mode != SWITCH && w->size[name] >= 0)))
		fault(w, &tally->failed, "unlink file-%02u: %s", name, strerror(errno));
	w->size[name] = -1;
}

/* Besides the common names there is one, `only-<sid>`, that tells whose directory it is. */
static void do_list(struct worker *w)
{
	int seen[NAMES] = {0}, own = 0;
	struct dirent *e;
	DIR *d = opendir(w->dir[w->at]);
	uint32_t name;
	char rest;

	if (!d) {
		fault(w, &tally->failed, "opendir: %s", strerror(errno));
		return;
	}
	while ((errno = 0, e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!strncmp(e->d_name, "only-", 5) && !strcmp(e->d_name + 5, w->in->sid))
			own = 1;
		else if (sscanf(e->d_name, "file-%2u.csv%c", &name, &rest) == 1 && name < NAMES)
			seen[name]++;
		else if (!holes ||
			 strncmp(e->d_name, ".nfs", 4)) /* what NFS makes of a file that is removed while open */
			fault(w, &tally->foreign, "listed %s", e->d_name);
	}
	if (errno)
		fault(w, &tally->failed, "readdir: %s", strerror(errno));
	closedir(d);
	if (!own)
		fault(w, &tally->wrong, "only-%s is not listed", w->in->sid);
	for (name = 0; name < NAMES; name++)
		if (mode != SWITCH && seen[name] != (w->size[name] >= 0))
			fault(w, &tally->wrong, "file-%02u is listed %d times", name, seen[name]);
}

/* Reaches into another session, which must be refused. */
static void do_grab(struct worker *w, uint32_t name)
{
	const struct session *other = &sessions[any(w, (uint32_t)count)];
	char path[PATH_MAX];
	int fd;

	if (other == w->in)
		return;
	snprintf(path, sizeof path, "%s/%s/file-%02u.csv", mounts[w->at], other->sid, name);
	atomic_fetch_add(&tally->grabs, 1);
	fd = open(path, any(w, 2) ? O_RDONLY | O_CLOEXEC : O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0) {
		fault(w, &tally->foreign, "opened file-%02u of %s", name, other->sid);
		close(fd);
	} else if (errno == (mode == HANDLES ? ENOKEY : EACCES)) {
		atomic_fetch_add(&tally->refused, 1);
	} else {
		fault(w, &tally->failed, "open file-%02u of %s: %s", name, other->sid, strerror(errno));
	}
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* One operation of a worker in the session that it is bound to, through any one of the mounts. */
static void operate(struct worker *w)
{
	uint32_t name = any(w, NAMES);
	long long began = now_ms();

	w->at = nmounts > 1 ? (int)any(w, 2) : 0;
	switch (any(w, 9)) {
	case 0:
	case 1: do_write(w, name); break;
	case 2:
	case 3: do_read(w, name); break;
	case 4: do_stat(w, name); break;
	case 5: do_rename(w, name); break;
	case 6: do_unlink(w, name); break;
	case 7: do_list(w); break;
	case 8: do_grab(w, name); break;
	}
	atomic_fetch_add(&tally->operations, 1);
	long took = (long)(now_ms() - began), longest = tally->longest;
	while (took > longest && !atomic_compare_exchange_weak(&tally->longest, &longest, took))
		;
}

/* What is there at the end, through each of the mounts. */
static void look_again(struct worker *w)
{
	for (w->at = 0; w->at < nmounts; w->at++) {
		do_list(w);
		for (uint32_t name = 0; name < NAMES; name++)
			do_read(w, name);
	}
	w->at = 0;
}

/* Binds a control file of a mount to a session, and finds out where that is. 0 or -errno. */
static int enter_at(struct worker *w, int at, int control, const struct session *s)
{
	char json[4096], path[256];
	int r = control < 0 ? control : bind_write(control, s->token_file, NULL);

	w->in = s;
	if (r < 0)
		return r;
	ssize_t n = read(control, json, sizeof json - 1);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	json[n] = '\0';
	json_value(json, mode == HANDLES ? "path" : "sid", path, sizeof path);
	snprintf(w->dir[at], sizeof w->dir[at], "%s/%s", mounts[at], path);
	atomic_fetch_add(&tally->bound, 1);
	return 0;
}

static int enter(struct worker *w, const int control[2], const struct session *s)
{
	int r = enter_at(w, 0, control[0], s);

	return r < 0 || nmounts == 1 ? r : enter_at(w, 1, control[1], s);
}

static void work(int number)
{
	static const char *const kinds[] = {"thread", "process", "handle", "thread"};
	struct worker w = {
		.number = number, .random = seed * 2654435761u + (uint64_t)number + 1, .in = &sessions[number]};
	long long end = now_ms() + seconds * 1000;
	int control[2] = {-1, -1};

	for (int at = 0; at < nmounts; at++)
		control[at] = control_open(mounts[at], kinds[mode]);
	int r = enter(&w, control, w.in);

	memset(w.size, -1, sizeof w.size);
	if (r < 0)
		fault(&w, &tally->failed, "bind: %s", strerror(-r));
	for (long i = 0; r == 0 && (seconds ? now_ms() < end : i < rounds); i++) {
		if (mode == SWITCH && (r = enter(&w, control, &sessions[any(&w, (uint32_t)count)])) < 0)
			fault(&w, &tally->failed, "bind: %s", strerror(-r));
		for (int j = 0; r == 0 && j < 10; j++)
			operate(&w);
		atomic_fetch_add(&tally->rounds, 1);
	}
	if (r == 0)
		look_again(&w);
	for (int at = 0; at < nmounts; at++)
		close(control[at]);
}

static void *work_thread(void *arg)
{
	work((int)(long)arg);
	return NULL;
}

/* Learns the sid of a token, and leaves the session with the one file that bears its name. */
static int prepare(struct session *s)
{
	char json[4096], path[PATH_MAX];
	int control = control_open(mounts[0], "thread");
	int r = control < 0 ? control : bind_write(control, s->token_file, NULL);

	if (r < 0) {
		printf("Bail out! bind %s: %s\n", s->token_file, strerror(-r));
		return r;
	}
	ssize_t n = read(control, json, sizeof json - 1);
	json[n > 0 ? n : 0] = '\0';
	if (json_value(json, "sid", s->sid, sizeof s->sid) < 0) {
		printf("Bail out! no sid: %s\n", json);
		return -EIO;
	}
	for (uint32_t i = 0; i < NAMES; i++) {
		snprintf(path, sizeof path, "%s/%s/file-%02u.csv", mounts[0], s->sid, i);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/%s/only-%s", mounts[0], s->sid, s->sid);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		return -errno;
	}
	close(fd);
	close(control);
	return 0;
}

static void run_threads(void)
{
	pthread_t threads[WORKERS_MAX];

	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, work_thread, (void *)(long)i))
			abort();
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void run_processes(void)
{
	fflush(stdout);
	for (int i = 0; i < count; i++)
		if (fork() == 0) {
			work(i);
			_exit(0);
		}
	for (int i = 0, status; i < count; i++)
		if (wait(&status) < 0 || status != 0)
			atomic_fetch_add(&tally->failed, 1);
}

static int claims;

__attribute__((format(printf, 2, 3))) static int claim(int holds, const char *fmt, ...)
{
	va_list ap;

	printf("%s %d - ", holds ? "ok" : "not ok", ++claims);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return holds;
}

static int usage(void)
{
	fputs("usage: hammer [-r ROUNDS] [-s SEED] [-t SECONDS] [-fz] [-a MOUNT] MOUNT "
	      "threads|processes|handles|switch TOKEN-FILE...\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "r:s:t:fza:")) != -1) {
		if (opt == 'r')
			rounds = atol(optarg);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 't')
			seconds = atol(optarg);
		else if (opt == 'f')
			sync_files = 1;
		else if (opt == 'z')
			holes = 1;
		else if (opt == 'a')
			mounts[1] = optarg;
		else
			return usage();
	}
	argv += optind;
	argc -= optind;
	if (argc < 4 || argc - 2 > WORKERS_MAX)
		return usage();
	mounts[0] = argv[0];
	nmounts = mounts[1] ? 2 : 1;
	while (strcmp(mode_names[mode], argv[1]))
		if (++mode > SWITCH)
			return usage();
	tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		return 1;
	count = argc - 2;
	for (int i = 0; i < count; i++) {
		sessions[i].token_file = argv[i + 2];
		sessions[i].number = i;
		if (prepare(&sessions[i]) < 0)
			return 1;
	}
	if (mode == PROCESSES)
		run_processes();
	else
		run_threads();

	int good = 1;
	good &= claim(tally->bound >= count * nmounts, "%s: all %d workers were bound", mode_names[mode], count);
	if (seconds)
		rounds = tally->rounds / count;
	good &= claim((seconds ? rounds > 0 : tally->operations == count * rounds * 10) || tally->failed,
		      "%s: all operations were made", mode_names[mode]);
	good &= claim(!tally->foreign, "%s: no byte, name or size of another session", mode_names[mode]);
	good &= claim(!tally->wrong, "%s: everybody finds what he left", mode_names[mode]);
	good &= claim(tally->grabs > 0 && tally->refused == tally->grabs,
		      "%s: every grab at another session was refused", mode_names[mode]);
	good &= claim(!tally->failed, "%s: nothing else failed", mode_names[mode]);
	printf("1..%d\n# %s: seed %llu, %ld operations, %ld grabs, %ld binds, the longest took %ld ms\n", claims,
	       mode_names[mode], (unsigned long long)seed, (long)tally->operations, (long)tally->grabs,
	       (long)tally->bound, (long)tally->longest);
	return !good;
}
