/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "control.h"
#include "opened.h"
#include "stats.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "util.h"

#define THREADS 8

static int dir;
static struct backing backing;
static struct node_table *nodes;
static struct file_table *files;
static atomic_int nodes_gone, controls_gone;

static void gone(void *ctx, uint64_t session)
{
	(void)ctx, (void)session;
	nodes_gone++;
}

/* In the place of control.c: what a control file is made of is no matter here, only that it is given back. */
struct control_file {
	int dummy;
};

void control_file_free(struct control_file *cf)
{
	controls_gone += cf != NULL;
}

static struct node *look_in(const char *name, uint64_t session)
{
	struct backing_key key;
	struct stat st;
	bool fresh;
	int fd;
	if (backing_look(&backing, dir, name, &fd, &st) || backing_key(&backing, fd, &st, &key))
		abort();
	return node_intern(nodes, session, 0, &key, &st, 0, fd, false, &fresh);
}

static struct node *look(const char *name)
{
	return look_in(name, 1);
}

/* An open file of a node. */
static struct file opened(struct node *n)
{
	int fd, err = node_pin(nodes, n, &fd);
	struct file f = {.node = n, .fd = err ? err : backing_reopen(fd, O_RDWR)};
	if (err || f.fd < 0)
		abort();
	node_unpin(nodes, n);
	return f;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static uint64_t enter(const struct file *want)
{
	uint64_t id = 0;
	if (file_enter(files, want, &id) || !id)
		abort();
	return id;
}

static bool known(uint64_t id)
{
	struct file *f = file_get(files, id);
	file_put(files, f);
	return f != NULL;
}

static void test_life(void)
{
	int base = open_fds();
	int64_t gauge = stats_get(STATS_open_files);
	struct node *n = look("f");
	struct file want = opened(n);
	want.passthrough = want.dir = true;
	uint64_t id = enter(&want);
	struct file *f = file_get(files, id);
	ok(f && f->id == id && f->node == n && f->fd == want.fd && f->passthrough && f->dir && !f->control,
	   "a file is found by its number, as it was entered");
	is_int(stats_get(STATS_open_files) - gauge, 1, "the gauge counts it");
	uint64_t other = enter(&(struct file){.fd = -1});
	struct file *bare = file_get(files, other);
	ok(other != id && bare && !bare->node && bare->fd == -1, "a file may have no node and no descriptor");
	ok(!known(0) && !known(1) && !known((uint32_t)id) && !known(id + 2) && !known(id + (UINT64_C(1) << 32)) &&
		   !known(UINT64_MAX),
	   "numbers that were never given out are unknown");

	file_close(files, id);
	ok(!known(id), "a closed file is not found any more");
	ok(is_open(want.fd) && f->node == n, "but whoever is at work on it keeps it");
	file_close(files, id);
	ok(is_open(want.fd), "closing it again does nothing");
	uint64_t next = enter(&(struct file){.fd = -1});
	ok(next != id && next != other && f->fd == want.fd,
	   "its place is not used as long as somebody is at work on it");
	file_put(files, f);
	ok(!is_open(want.fd), "the last one closes it");
	file_close(files, next);
	file_close(files, other);
	file_put(files, bare);
	ok(!known(next) && !known(other), "files without a node close too");
	file_put(files, NULL);

	is_int(n->pins, 0, "a file that is closed keeps no pin of its node");
	node_forget(nodes, n->id, 1);
	nodes_gone = 0;
	node_put(nodes, n);
	is_int(stats_get(STATS_open_files), gauge, "the gauge goes back");
	is_int(nodes_gone, 1, "nor a reference");
	is_int(open_fds() - base, 0, "and no descriptor is left");
}

static void test_numbers(void)
{
	enum { ROUNDS = 1000 };
	static uint64_t seen[ROUNDS];
	int again = 0;

	for (int i = 0; i < ROUNDS; i++) {
		seen[i] = enter(&(struct file){.fd = -1});
		for (int j = 0; j < i; j++)
			again += seen[i] == seen[j] || (i % 100 == 0 && known(seen[j]));
		file_close(files, seen[i]);
	}
	is_int(again, 0, "numbers are never used again: a stale one is unknown");
}

static void test_node(void)
{
	char text[8] = "";
	struct node *n = look("deleted");
	uint64_t node_id = n->id;
	struct file want = opened(n);
	uint64_t id = enter(&want);
	node_put(nodes, n);
	nodes_gone = 0;
	node_forget(nodes, node_id, 1);
	is_int(nodes_gone, 0, "a node that the kernel forgets stays while a file of it is open");
	unlinkat(dir, "deleted", 0);
	for (int i = 0; i < 8; i++) { /* more than the table keeps descriptors of */
		char name[16];
		snprintf(name, sizeof(name), "o%d", i);
		scratch_file(dir, name, 0644, name);
		struct node *o = look(name);
		int fd;
		node_pin(nodes, o, &fd);
		node_unpin(nodes, o);
		node_forget(nodes, o->id, 1);
		node_put(nodes, o);
	}
	nodes_gone = 0;
	struct stat st;
	int fd;
	ok(node_pin(nodes, n, &fd) == 0 && backing_stat(fd, &st) == 0 && st.st_nlink == 0,
	   "a file that was unlinked while open stays reachable through its node");
	node_unpin(nodes, n);
	ok(pread(want.fd, text, 7, 0) == 7 && strcmp(text, "content") == 0, "and through its descriptor");
	file_close(files, id);
	is_int(nodes_gone, 1, "with the last close, the node goes");
}

static void test_failures(void)
{
	uint64_t id = 77;
	scratch_file(dir, "stale", 0644, "");
	struct node *n = look("stale");
	uint32_t refs = n->refs;
	if (backing.handles) {
		unlinkat(dir, "stale", 0);
		struct file want = {.node = n, .fd = dup(dir)};
		is_int(file_enter(files, &want, &id), -ESTALE, "a file whose node can't be pinned is not entered");
		ok(is_open(want.fd) && n->refs == refs && id == 77, "and nothing of it is consumed");
		close(want.fd);
	} else {
		ok(1, "a file whose node can't be pinned is not entered # SKIP no file handles");
	}
	node_forget(nodes, n->id, 1);
	node_put(nodes, n);

	n = look("f");
	refs = n->refs;
	int entered = 0;
	struct file want = {.node = n, .fd = dup(dir)};
	struct control_file cf;
	uint64_t first = enter(&(struct file){.fd = -1}), last = 0;
	while (entered < 1 << 21 && file_enter(files, &(struct file){.fd = -1}, &last) == 0)
		entered++;
	is_int(entered + 1, (1 << 20) - 1, "a full table refuses one file more");
	id = 77;
	controls_gone = 0;
	is_int(file_enter(files, &want, &id), -ENFILE, "with ENFILE");
	ok(is_open(want.fd) && n->refs == refs && n->pins == 0 && id == 77, "and nothing of it is consumed");
	want = (struct file){.fd = want.fd, .control = &cf};
	ok(file_enter(files, &want, &id) == -ENFILE && controls_gone == 0, "nor of a control file");
	file_close(files, first);
	ok(file_enter(files, &want, &id) == 0 && known(id) && known(last),
	   "where one was closed there is room for another");
	file_close(files, id);
	is_int(controls_gone, 1, "a control file is freed with its last close");
	ok(!is_open(want.fd), "and its descriptor closed");
	node_forget(nodes, n->id, 1);
	node_put(nodes, n);
}

/* ---- many at once ---- */

static pthread_barrier_t gate;
static atomic_int faults;
static uint64_t shared;
static ino_t shared_ino;

static void *use(void *arg)
{
	pthread_barrier_wait(&gate);
	struct file *f;
	for (int i = 0; (f = file_get(files, shared)); i++) {
		struct stat st;
		faults += fstat(f->fd, &st) < 0 || st.st_ino != shared_ino;
		if (arg && i == 20)
			file_close(files, shared);
		file_put(files, f);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_barrier_init(&gate, NULL, THREADS);
	controls_gone = nodes_gone = 0;
	int64_t gauge = stats_get(STATS_open_files);
	enum { ROUNDS = 100 };
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[THREADS];
		struct control_file cf;
		struct node *n = look("f");
		struct file want = opened(n);
		want.control = &cf;
		shared_ino = (ino_t)n->key.ino;
		shared = enter(&want);
		node_forget(nodes, n->id, 1);
		node_put(nodes, n);
		for (uintptr_t i = 0; i < THREADS; i++)
			if (pthread_create(&threads[i], NULL, use, (void *)(i < 2 ? i + 1 : 0)))
				abort();
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
	}
	pthread_barrier_destroy(&gate);
	is_int(faults, 0, "%d threads use a file that two of them close: who has a reference has the file", THREADS);
	is_int(controls_gone, ROUNDS, "it is closed once");
	is_int(nodes_gone, ROUNDS, "and its node given back once");
	is_int(stats_get(STATS_open_files), gauge, "the gauge goes back");
}

static void test_free(void)
{
	struct control_file cf;
	int base = open_fds();
	controls_gone = nodes_gone = 0;
	files = file_table_new(nodes, UINT_MAX);
	struct node *n = look("f");
	struct file want = opened(n);
	enter(&want);
	enter(&(struct file){.fd = -1, .control = &cf});
	node_forget(nodes, n->id, 1);
	node_put(nodes, n);
	file_table_free(files);
	file_table_free(NULL);
	ok(open_fds() == base && nodes_gone == 1 && controls_gone == 1, "the table closes what is open when it goes");
}

/* What two sessions and three bindings have open, one of which had more. */
static void test_opened(void)
{
	enum { MANY = 1000 }; /* more than there is room for at first */
	static uint64_t ids[MANY + 4];
	struct node *one = look_in("f", 7), *two = look_in("f", 8);
	struct file want = {.fd = -1, .node = one, .binding = 3};
	struct opened *o = opened_count(files);

	ok(opened_in(o, 7) == 0 && opened_by(o, 3) == 0, "nobody has a file open");
	opened_free(o);
	for (int i = 0; i < MANY; i++)
		ids[i] = enter(&want);
	want.binding = 5;
	ids[MANY] = enter(&want);
	want = (struct file){.fd = -1, .node = two, .binding = 4, .dir = true};
	ids[MANY + 1] = enter(&want);
	ids[MANY + 2] = enter(&want);
	ids[MANY + 3] = enter(&(struct file){.fd = -1, .control = &(struct control_file){0}});
	file_close(files, ids[0]);
	struct file *busy = file_get(files, ids[1]);
	file_close(files, ids[1]);
	o = opened_count(files);
	ok(opened_in(o, 7) == MANY - 1 && opened_in(o, 8) == 2, "files are counted by session, directories too");
	ok(opened_by(o, 3) == MANY - 2 && opened_by(o, 5) == 1 && opened_by(o, 4) == 2, "and by binding");
	ok(opened_in(o, 6) == 0 && opened_in(o, 9) == 0 && opened_by(o, 0) == 0 && opened_by(o, 6) == 0,
	   "others have none, and a control file is nobody's");
	opened_free(o);
	file_put(files, busy);
	for (int i = 2; i < MANY + 4; i++)
		file_close(files, ids[i]);
	o = opened_count(files);
	ok(opened_in(o, 7) == 0 && opened_by(o, 4) == 0, "what was closed is not counted");
	opened_free(o);
	opened_free(NULL);
	node_forget(nodes, one->id, 1);
	node_forget(nodes, two->id, 1);
	node_put(nodes, one);
	node_put(nodes, two);
}

int main(void)
{
	alarm(240);
	dir = scratch_open();
	if (backing_init(&backing, dir))
		abort();
	nodes = node_table_new(&backing, 2, gone, NULL);
	files = file_table_new(nodes, UINT_MAX);
	if (!nodes || !files)
		abort();
	scratch_file(dir, "f", 0644, "content");
	scratch_file(dir, "deleted", 0644, "content");

	test_life();
	test_numbers();
	test_node();
	test_threads();
	test_opened();
	test_failures(); /* leaves the table full */
	file_table_free(files);
	test_free();
	node_table_free(nodes);
	backing_fini(&backing);
	return tap_done();
}
