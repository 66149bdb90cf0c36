/* SPDX-License-Identifier: MIT */
/*
 * flood MOUNT TOKEN-FILE same|own|apart|routes|churn WRITERS CHUNK ROUNDS
 *
 * Threads that fill one session at once until they are told EDQUOT or EFBIG, or ROUNDS writes are made:
 *
 *     same     all append to one file                      apart   all write one file, each far beyond the others' ends
 *     own      each appends to a file of its own           routes  as same, every other one through a handle
 *     churn    each makes, writes, cuts, links, renames and removes a few files, and goes on when it is refused
 *
 * Prints the bytes that were acknowledged and the errno of the first refusal, or 0: "1048576 EDQUOT". Any other error
 * ends it with status 1.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bind.h"

enum { WRITERS_MAX = 16, CHUNK_MAX = 1 << 20, NAMES = 4 };
enum mode { SAME, OWN, APART, ROUTES, CHURN };
static const char *const mode_names[] = {"same", "own", "apart", "routes", "churn"};

static const char *mount_point, *token_file;
static enum mode mode;
static size_t chunk;
static long rounds;
static atomic_llong written;
static atomic_int refused, failed;
static char content[CHUNK_MAX];

static int is_refusal(int error)
{
	return error == EDQUOT || error == EFBIG;
}

/* Notes how a call ended. True when it was done. */
static int done(const char *what, ssize_t n)
{
	if (n >= 0)
		return 1;
	if (is_refusal(errno)) {
		int none = 0;
		atomic_compare_exchange_strong(&refused, &none, errno);
	} else {
		printf("# %s: %s\n", what, strerror(errno));
		failed = 1;
	}
	return 0;
}

static void fill(int fd, int number)
{
	off_t at = (off_t)number << 20;

	for (long i = 0; i < rounds && !failed; i++) {
		ssize_t n = mode == APART ? pwrite(fd, content, chunk, at) : write(fd, content, chunk);
		if (!done("write", n))
			return;
		written += n;
		at += n;
	}
}

static uint32_t any(uint64_t *random, uint32_t n)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (uint32_t)(*random >> 33) % n;
}

/* What may be absent, or there already, since the others use the same names. */
static void churn(const char *dir, int number)
{
	uint64_t random = 88172645463325252u + (uint64_t)number;
	char a[PATH_MAX], b[PATH_MAX];

	for (long i = 0; i < rounds && !failed; i++) {
		int fd, r = 0;
		snprintf(a, sizeof a, "%s/churn-%u", dir, any(&random, NAMES));
		snprintf(b, sizeof b, "%s/churn-%u", dir, any(&random, NAMES));
		switch (any(&random, 8)) {
		case 0: r = unlink(a); break;
		case 1: r = rename(a, b); break;
		case 2: r = link(a, b); break;
		case 3: r = truncate(a, any(&random, 3 * (uint32_t)chunk)); break;
		case 4: r = mkdir(a, 0777) < 0 ? -1 : rmdir(a); break;
		default:
			fd = open(a, O_RDWR | O_CREAT | O_CLOEXEC | (any(&random, 2) ? O_TRUNC : 0), 0666);
			r = fd < 0 ? -1 : (int)pwrite(fd, content, chunk, any(&random, (uint32_t)chunk));
			if (fd >= 0 && any(&random, 3) == 0 && unlink(a) == 0)
				r = (int)pwrite(fd, content, chunk, any(&random, 2 * (uint32_t)chunk));
			if (fd >= 0 && close(fd) < 0)
				r = -1;
		}
		if (r < 0 && errno != ENOENT && errno != EEXIST && errno != EISDIR && errno != ENOTDIR &&
		    errno != ESTALE && errno != EPERM) /* a link to a directory */
			done("churn", -1);
	}
}

static void *work(void *arg)
{
	int number = (int)(long)arg, via = mode == ROUTES && number % 2;
	int control = control_open(mount_point, via ? "handle" : "thread");
	char path[PATH_MAX - 64], name[PATH_MAX], json[4096];

	if (control < 0 || bind_write(control, token_file, NULL) < 0) {
		printf("# bind: %s\n", strerror(errno));
		failed = 1;
		return NULL;
	}
	ssize_t n = read(control, json, sizeof json - 1);
	json[n > 0 ? n : 0] = '\0';
	char last[160] = "";
	json_value(json, via ? "path" : "sid", last, sizeof last);
	snprintf(path, sizeof path, "%s/%s", mount_point, last);
	if (mode == CHURN) {
		churn(path, number);
	} else {
		snprintf(name, sizeof name, "%s/flood-%d", path, mode == OWN ? number : 0);
		int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | (mode == APART ? 0 : O_APPEND), 0666);
		if (done("open", fd))
			fill(fd, number);
		if (fd >= 0)
			close(fd);
	}
	close(control);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[WRITERS_MAX];

	if (argc != 7) {
		fputs("usage: flood MOUNT TOKEN-FILE same|own|apart|routes|churn WRITERS CHUNK ROUNDS\n", stderr);
		return 2;
	}
	mount_point = argv[1];
	token_file = argv[2];
	while (mode < CHURN && strcmp(mode_names[mode], argv[3]))
		mode++;
	int count = atoi(argv[4]);
	chunk = (size_t)atol(argv[5]);
	rounds = atol(argv[6]);
	if (strcmp(mode_names[mode], argv[3]) || count < 1 || count > WRITERS_MAX || chunk > CHUNK_MAX)
		return 2;
	umask(0);
	for (long i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			return 1;
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("%lld %s\n", (long long)written, refused ? strerrorname_np(refused) : "0");
	return failed;
}
