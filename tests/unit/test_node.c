/* SPDX-License-Identifier: MIT */
#include "node.h"

#include <pthread.h>
#include <stdatomic.h>

#include "stats.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "util.h"

#define THREADS 8

static int dir;
static struct backing backing;    /* as the scratch directory's filesystem is */
static struct backing handleless; /* the same without handles */
static atomic_int gones;
static atomic_uint_least64_t last_gone;

/* It may use the table: nobody holds the lock. */
static void gone(void *ctx, uint64_t session)
{
	struct node_table **t = ctx;
	node_lock(*t);
	gones++;
	last_gone = session;
	node_unlock(*t);
}

static struct node_table *table; /* the one that is tried */

static void begin(const struct backing *b, unsigned max_fds)
{
	gones = 0;
	table = node_table_new(b, max_fds, gone, &table);
	if (!table)
		abort();
}

static void end(void)
{
	node_table_free(table);
	table = NULL;
}

/* A lookup of a file by its name. */
static struct node *look(const struct backing *b, const char *name, bool keep)
{
	struct backing_key key;
	struct stat st;
	bool fresh;
	int fd;
	if (backing_look(b, dir, name, &fd, &st) || backing_key(b, fd, &st, &key))
		abort();
	return node_intern(table, 1, 0, &key, &st, 0, fd, keep, &fresh);
}

/* A node of no file at all: names and counts need none. */
static struct node *made(uint64_t session, uint64_t route, uint64_t ino, uint64_t parent, mode_t mode, uid_t uid,
			 gid_t gid)
{
	struct backing_key key = {.dev = 1, .ino = ino, .bytes = 1};
	struct stat st = {.st_mode = S_IFDIR | mode, .st_uid = uid, .st_gid = gid};
	bool fresh;
	return node_intern(table, session, route, &key, &st, parent, -1, false, &fresh);
}

static struct node *plain(uint64_t session, uint64_t route, uint64_t ino)
{
	return made(session, route, ino, 0, 0777, 0, 0);
}

/* What request.c does of a lookup that has been answered. */
static uint64_t answered(struct node *n)
{
	uint64_t id = n->id;
	node_put(table, n);
	return id;
}

static bool known(uint64_t id)
{
	struct node *n = node_get(table, id);
	node_put(table, n);
	return n != NULL;
}

/* "c3" for 'c' and 3. */
static const char *name_of(char series, int i, char name[static 16])
{
	snprintf(name, 16, "%c%d", series, i);
	return name;
}

static void make_files(char series, int n)
{
	char name[16];
	for (int i = 0; i < n; i++)
		scratch_file(dir, name_of(series, i, name), 0644, name);
}

/* ---- numbers ---- */

static void test_numbers(void)
{
	enum { ROUNDS = 1000 };
	static uint64_t seen[ROUNDS];
	int again = 0, alive = 0;

	begin(&backing, 16);
	int64_t before = stats_get(STATS_nodes);
	for (int i = 0; i < ROUNDS; i++) {
		seen[i] = answered(plain(1, 0, 7));
		for (int j = 0; j < i; j++)
			again += seen[i] == seen[j];
		node_forget(table, seen[i], 1);
		for (int j = 0; j <= i; j++)
			alive += i % 100 == 0 && known(seen[j]);
	}
	is_int(again, 0, "a number is never used again");
	is_int(alive, 0, "the number of a forgotten node is unknown, also when another node has its place");
	is_int(gones, ROUNDS, "each node gives its session back, once");
	is_int(last_gone, 1, "and it is the session that it was entered with");
	is_int(stats_get(STATS_nodes), before, "the gauge of nodes goes back");
	ok(seen[0] >= NODE_FIRST, "numbers begin above those of the root and the control files");

	struct node *n = plain(1, 0, 7);
	ok(node_get(table, n->id) == n, "a number leads to its node");
	node_put(table, n);
	uint64_t wrong[] = {
		0, NODE_ROOT, 2, NODE_FIRST, n->id + 1, n->id - 1, (uint32_t)n->id, n->id + NODE_FIRST, UINT64_MAX};
	int found = 0;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		found += known(wrong[i]);
	is_int(found, 0, "numbers that were never given out are unknown");
	end();
}

static void test_identity(void)
{
	struct backing_key key = {.dev = 1, .ino = 5, .bytes = 1};
	struct stat st = {.st_mode = S_IFREG | 0644};
	bool fresh = false;

	begin(&backing, 16);
	struct node *n = node_intern(table, 1, 0, &key, &st, 0, -1, false, &fresh);
	ok(fresh, "the first lookup inserts");
	ok(node_intern(table, 1, 0, &key, &st, 0, -1, false, &fresh) == n && !fresh, "the second finds the same node");
	is_int(n->type, S_IFREG, "a node knows its type");
	ok(plain(2, 0, 5) != n, "the same file in another session is another node");
	ok(plain(1, 9, 5) != n, "by another route too");
	ok(plain(1, 0, 6) != n, "and another file");
	key.data[0] = 1;
	ok(node_intern(table, 1, 0, &key, &st, 0, -1, false, &fresh) != n && fresh,
	   "an inode number that was used again is another file: the handle tells");
	end();
}

/* ---- counts ---- */

static void test_counts(void)
{
	struct backing_key key = {.dev = 1, .ino = 5, .bytes = 1};

	begin(&backing, 16);
	ok(!node_find(table, 1, 0, &key, true), "what was never looked up is not found");
	uint64_t id = answered(plain(1, 0, 5));
	answered(plain(1, 0, 5));
	struct node *n = node_find(table, 1, 0, &key, false);
	ok(n && n->id == id && n->nlookup == 2, "finding without counting leaves the kernel's count");
	node_put(table, n);
	n = node_find(table, 1, 0, &key, true);
	ok(n && n->nlookup == 3, "finding with counting is one lookup more");
	node_put(table, n);
	ok(!node_find(table, 2, 0, &key, false) && !node_find(table, 1, 1, &key, false),
	   "it is not found by another session or route");

	node_forget(table, id, 2);
	ok(known(id) && gones == 0, "a node stays as long as the kernel counts one lookup");
	n = node_get(table, id);
	node_forget(table, id, 1);
	ok(known(id) && gones == 0, "and as long as a request holds it");
	ok(!node_find(table, 1, 0, &key, true), "but what a request alone holds, the kernel does not know");
	ok(plain(1, 0, 5) == n && n->nlookup == 1, "a lookup meanwhile finds it, and the kernel knows it again");
	node_put(table, n);
	node_put(table, n);
	ok(known(id) && gones == 0, "it then outlives the request");
	node_forget(table, id, 1);
	ok(!known(id) && gones == 1, "the last forget ends it");

	id = answered(plain(1, 0, 5));
	n = node_get(table, id);
	node_forget(table, id, 1000);
	is_int(n->nlookup, 0, "forgetting more than was counted does not wrap");
	node_put(table, n);
	ok(!known(id) && gones == 2, "and the node goes");
	node_forget(table, id, 1);
	node_forget(table, 12345 * NODE_FIRST + 99, 1);
	node_forget(table, NODE_ROOT, 1);
	is_int(gones, 2, "forgetting an unknown number does nothing");
	n = plain(1, 0, 5);
	node_ref(table, n);
	node_forget(table, n->id, 1);
	node_put(table, n);
	ok(known(n->id), "each reference counts");
	node_put(table, n);
	is_int(gones, 3, "the last put ends it too");
	node_put(table, NULL);
	end();
}

/* ---- descriptors ---- */

static bool stands_for(struct node *n, int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_ino == n->key.ino && fcntl(fd, F_GETFL) & O_PATH;
}

static void test_cache(void)
{
	enum { FILES = 12, BOUND = 4 };
	struct node *n[FILES];
	char name[16];
	int fd, most = 0, wrong = 0;

	make_files('c', FILES);
	begin(&backing, BOUND);
	int base = open_fds();
	int64_t gauge = stats_get(STATS_backing_fds);
	for (int i = 0; i < FILES; i++) {
		n[i] = look(&backing, name_of('c', i, name), true);
		most = open_fds() - base > most ? open_fds() - base : most;
	}
	is_int(most, BOUND, "the descriptor cache fills, and stays within its bound");
	is_int(stats_get(STATS_backing_fds) - gauge, BOUND, "the gauge says as much");
	for (int i = 0; i < FILES; i++) {
		wrong += node_pin(table, n[i], &fd) || !stands_for(n[i], fd);
		node_unpin(table, n[i]);
		most = open_fds() - base > most ? open_fds() - base : most;
	}
	is_int(wrong, 0, "what was evicted is opened again, and is the same file");
	is_int(most, BOUND, "still within the bound");

	wrong = 0;
	for (int i = 0; i < FILES; i++)
		wrong += (n[i]->fd >= 0) != (i >= FILES - BOUND);
	is_int(wrong, 0, "those that were used last are there");
	node_pin(table, n[FILES - BOUND], &fd);
	node_unpin(table, n[FILES - BOUND]);
	node_pin(table, n[0], &fd);
	node_unpin(table, n[0]);
	for (int i = 0; i < FILES; i++)
		wrong += (n[i]->fd >= 0) != (i == 0 || (i >= FILES - BOUND && i != FILES - BOUND + 1));
	is_int(wrong, 0, "the least recently used one goes first");

	int held[FILES], again;
	wrong = 0;
	for (int i = 0; i < FILES; i++)
		wrong += node_pin(table, n[i], &held[i]) != 0;
	for (int i = 0; i < FILES; i++)
		wrong += !stands_for(n[i], held[i]);
	is_int(wrong, 0, "pinned descriptors are kept beyond the bound");
	node_pin(table, n[0], &again);
	is_int(again, held[0], "two who pin one node share its descriptor");
	for (int i = 0; i < FILES; i++)
		node_unpin(table, n[i]);
	ok(open_fds() - base <= BOUND && n[0]->fd == held[0] && stands_for(n[0], held[0]),
	   "unpinned, they go until the bound holds; what is pinned once more stays");
	for (int i = 1; i < FILES; i++) {
		node_pin(table, n[i], &fd);
		node_unpin(table, n[i]);
	}
	ok(n[0]->fd == held[0] && stands_for(n[0], held[0]), "a pinned one survives all that comes after it");
	node_unpin(table, n[0]);
	for (int i = 0; i < FILES; i++)
		node_forget(table, answered(n[i]), 1);
	is_int(open_fds(), base, "with the nodes, their descriptors go");
	is_int(stats_get(STATS_backing_fds), gauge, "and the gauge goes back");

	struct node *cold = look(&backing, "c0", false);
	is_int(open_fds(), base, "a node that nobody uses costs no descriptor");
	node_put(table, cold);
	answered(look(&backing, "c1", true));
	end();
	is_int(open_fds(), base, "the table closes what it holds when it goes");
}

static void test_deleted(void)
{
	int fd = -7;

	make_files('d', 2);
	begin(&backing, 16);
	struct node *n = look(&backing, "d0", false), *kept = look(&backing, "d1", false);
	node_pin(table, kept, &fd);
	unlinkat(dir, "d0", 0);
	unlinkat(dir, "d1", 0);
	ok(stands_for(kept, fd), "a deleted file whose node is pinned is still there");
	int none = -7;
	is_int(node_pin(table, n, &none), -ESTALE, "the handle of a deleted file is stale");
	is_int(none, -7, "and gives no descriptor");
	is_int(n->pins, 0, "a pin that failed need not be undone");
	scratch_file(dir, "d0", 0644, "anew");
	is_int(node_pin(table, n, &none), -ESTALE,
	       "it stays stale when a new file has the name, and maybe the inode number");
	struct node *anew = look(&backing, "d0", false);
	ok(anew != n && anew->id != n->id, "which is another node");
	node_unpin(table, kept);
	end();
}

static void test_handleless(void)
{
	enum { FILES = 10 };
	struct node *n[FILES];
	char name[16];
	int fd, wrong = 0;

	make_files('h', FILES);
	scratch_file(dir, "one", 0644, "one");
	begin(&handleless, 1);
	int base = open_fds();
	for (int i = 0; i < FILES; i++) {
		n[i] = look(&handleless, name_of('h', i, name), false);
	}
	is_int(open_fds() - base, FILES, "without handles each node keeps its descriptor, whatever the bound");
	for (int i = 0; i < FILES; i++) {
		unlinkat(dir, name_of('h', i, name), 0);
		wrong += node_pin(table, n[i], &fd) || !stands_for(n[i], fd);
		node_unpin(table, n[i]);
	}
	is_int(wrong, 0, "and can be used, also when its file was deleted");
	is_int(open_fds() - base, FILES, "using them closes none");
	struct node *once_more = look(&handleless, "one", false);
	ok(look(&handleless, "one", false) == once_more, "they are found by device and inode");
	is_int(open_fds() - base, FILES + 1, "a second lookup's descriptor is closed");
	node_put(table, once_more);
	node_put(table, once_more);
	node_forget(table, once_more->id, 2);
	for (int i = 0; i < FILES; i++)
		node_forget(table, answered(n[i]), 1);
	is_int(open_fds(), base, "the descriptors live as long as the nodes");
	end();
}

/* ---- the tree above ---- */

#define ALICE 1000
#define BOB 1001
#define STAFF 50

static bool in_staff(gid_t gid)
{
	return gid == STAFF;
}

static bool in_none(gid_t gid)
{
	(void)gid;
	return false;
}

static void test_searchable(void)
{
	static const struct {
		const char *claim;
		mode_t mode;
		uid_t uid; /* of the directory */
		gid_t gid;
		uid_t who;
		gid_t group;
		bool staff, want;
	} cases[] = {
		{"its owner may pass where the owner's bit says so", 0100, ALICE, 7, ALICE, 8, false, true},
		{"its owner may not, where the others' bits alone say so", 0011, ALICE, 7, ALICE, 7, false, false},
		{"its group may pass where the group's bit says so", 0010, ALICE, 7, BOB, 7, false, true},
		{"its group may not, where the others' bit alone says so", 0101, ALICE, 7, BOB, 7, false, false},
		{"a supplementary group counts", 0010, ALICE, STAFF, BOB, 7, true, true},
		{"a supplementary group counts against its members too", 0101, ALICE, STAFF, BOB, 7, true, false},
		{"others may pass where their bit says so", 0001, ALICE, 7, BOB, 8, true, true},
		{"others may not, where the owner's and the group's bits alone say so", 0110, ALICE, 7, BOB, 8, true,
		 false},
		{"reading and writing are not searching", 0666, ALICE, 7, ALICE, 7, true, false},
		{"root may pass everywhere", 0000, ALICE, 7, 0, 0, false, true},
		{"root's group is no root", 0700, ALICE, 7, BOB, 0, false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		begin(&backing, 16);
		struct node *top = made(1, 0, 10, 0, 0777, 0, 0);
		struct node *up = made(1, 0, 11, top->id, cases[i].mode, cases[i].uid, cases[i].gid);
		struct node *below = made(1, 0, 12, up->id, 0755, 0, 0), *n = made(1, 0, 13, below->id, 0, 0, 0);
		bool (*in_group)(gid_t) = cases[i].staff ? in_staff : in_none;
		is_int(node_searchable(table, n, cases[i].who, cases[i].group, in_group), cases[i].want, "%s",
		       cases[i].claim);
		is_int(node_searchable(table, below, cases[i].who, cases[i].group, in_group), cases[i].want,
		       "directly above or further up: %s", cases[i].claim);
		if (!node_searchable(table, up, cases[i].who, cases[i].group, in_group))
			ok(0, "a directory's own bits are no matter of passing to it: %s", cases[i].claim);
		end();
	}

	begin(&backing, 16);
	struct node *open = made(1, 0, 1, 0, 0777, 0, 0), *closed = made(1, 0, 2, 0, 0700, ALICE, ALICE);
	struct node *n = made(1, 0, 3, open->id, 0777, 0, 0), *other = made(1, 4, 2, 0, 0700, ALICE, ALICE);
	struct node *foreign = made(2, 0, 2, 0, 0700, ALICE, ALICE);
	struct node *by_other = made(1, 4, 3, other->id, 0777, 0, 0),
		    *by_foreign = made(2, 0, 3, foreign->id, 0777, 0, 0);
	ok(node_searchable(table, n, BOB, BOB, in_none), "a directory that is open to all lets pass");
	node_moved(table, n, closed->id);
	ok(!node_searchable(table, n, BOB, BOB, in_none), "what was moved is judged by where it is");
	struct stat st = {.st_mode = S_IFDIR | 0711, .st_uid = BOB, .st_gid = BOB};
	node_note(table, closed, &st);
	ok(node_searchable(table, n, BOB, BOB, in_none), "new permissions count at once");
	ok(node_searchable(table, by_other, BOB, BOB, in_none), "by every route to the same directory");
	ok(!node_searchable(table, by_foreign, BOB, BOB, in_none), "but in the same session alone");
	ok(closed->mode == 0711 && closed->uid == BOB && closed->gid == BOB,
	   "mode, owner and group are what was noted");
	made(1, 0, 2, 0, 0700, ALICE, ALICE);
	ok(!node_searchable(table, n, BOB, BOB, in_none), "a lookup brings new permissions too");
	uint64_t closed_id = closed->id;
	node_put(table, closed);
	node_put(table, closed);
	node_forget(table, closed_id, 2);
	ok(node_searchable(table, n, BOB, BOB, in_none), "a directory that is gone ends the walk");
	node_moved(table, n, open->id);
	node_moved(table, open, n->id);
	ok(node_searchable(table, n, BOB, BOB, in_none), "a circle ends too");
	end();
}

static void test_open(void)
{
	begin(&backing, 16);
	struct node *n = plain(1, 0, 3);
	is_int(node_is_open(table, n), 0, "a node that is not open says so");
	n->nopen = 2;
	is_int(node_is_open(table, n), 1, "and one that is, too");
	n->opener = ALICE;
	ok(node_is_open_by(table, n, ALICE) && !node_is_open_by(table, n, BOB), "by whom, where it is one user");
	n->opener = (uid_t)-1;
	ok(node_is_open_by(table, n, ALICE) && node_is_open_by(table, n, BOB), "by anybody, where there are several");
	n->nopen = 0;
	ok(!node_is_open_by(table, n, ALICE), "by nobody, once it is closed");
	end();
}

/* ---- many at once ---- */

static void run(void *(*work)(void *))
{
	pthread_t threads[THREADS];
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

enum { KEYS = 16, LOOKUPS = 2000 };
static pthread_barrier_t gate;
static atomic_int inserted, faults;
static uint64_t first_seen[THREADS][KEYS];

static void *look_all_up(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	struct stat st = {.st_mode = S_IFREG};
	pthread_barrier_wait(&gate);
	for (int i = 0; i < LOOKUPS; i++) {
		struct backing_key key = {.dev = 1, .ino = (uint64_t)i % KEYS, .bytes = 1};
		bool fresh;
		struct node *n = node_intern(table, 1, 0, &key, &st, 0, -1, false, &fresh);
		inserted += fresh;
		if (!first_seen[me][i % KEYS])
			first_seen[me][i % KEYS] = n->id;
		faults += first_seen[me][i % KEYS] != n->id;
		node_put(table, n);
	}
	return NULL;
}

static void *forget_all(void *arg)
{
	pthread_barrier_wait(&gate);
	for (int i = 0; i < LOOKUPS; i++)
		node_forget(table, first_seen[(uintptr_t)arg][i % KEYS], 1);
	return NULL;
}

static void test_find_or_insert(void)
{
	begin(&backing, 16);
	inserted = faults = 0;
	run(look_all_up);
	for (int t = 1; t < THREADS; t++)
		for (int k = 0; k < KEYS; k++)
			faults += first_seen[t][k] != first_seen[0][k];
	is_int(faults, 0, "%d threads that look up the same files get the same nodes", THREADS);
	is_int(inserted, KEYS, "each file is inserted once");
	uint64_t lookups = 0;
	for (int k = 0; k < KEYS; k++) {
		struct node *n = node_get(table, first_seen[0][k]);
		lookups += n ? n->nlookup : 0;
		node_put(table, n);
	}
	is_int((long long)lookups, THREADS * LOOKUPS, "and every lookup is counted");
	is_int(gones, 0, "none is gone before its last forget");
	run(forget_all);
	is_int(gones, KEYS, "as many forgets end all, each once");
	end();
}

enum { CHURN = 3000 };

/* Nodes come and go under their users' hands. */
static void *churn(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg + 1;
	struct stat st = {.st_mode = S_IFDIR | 0777};
	pthread_barrier_wait(&gate);
	for (int i = 0; i < CHURN; i++) {
		struct backing_key key = {.dev = 1, .ino = (uint64_t)rand_r(&seed) % 4, .bytes = 1};
		bool fresh;
		struct node *n = node_intern(table, 1, (uint64_t)rand_r(&seed) % 2, &key, &st, 0, -1, false, &fresh);
		uint64_t id = n->id;
		inserted += fresh;
		struct node *same = node_get(table, id);
		faults += same != n || n->key.ino != key.ino || n->session != 1;
		node_note(table, n, &st);
		faults += !node_searchable(table, n, ALICE, ALICE, in_none);
		node_put(table, same);
		node_put(table, n);
		node_forget(table, id, 1);
	}
	return NULL;
}

static void *pin_all(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg + 1;
	char name[16];
	pthread_barrier_wait(&gate);
	for (int i = 0; i < CHURN / 4; i++) {
		struct node *n = look(&backing, name_of('p', rand_r(&seed) % 6, name), i % 3 == 0);
		int fd;
		if (node_pin(table, n, &fd)) {
			faults++;
		} else {
			faults += !stands_for(n, fd);
			node_unpin(table, n);
		}
		uint64_t id = answered(n);
		node_forget(table, id, 1);
	}
	return NULL;
}

static void test_churn(void)
{
	begin(&backing, 16);
	inserted = faults = 0;
	int64_t nodes = stats_get(STATS_nodes);
	run(churn);
	is_int(faults, 0, "%d threads: who holds a reference has the node that was looked up", THREADS);
	is_int(gones, inserted, "as many sessions are given back as nodes were inserted (%d)", (int)inserted);
	is_int(stats_get(STATS_nodes), nodes, "and none is left");
	end();
}

static void test_pins(void)
{
	make_files('p', 6);
	begin(&backing, 2);
	faults = 0;
	int base = open_fds();
	int64_t fds = stats_get(STATS_backing_fds);
	run(pin_all);
	is_int(faults, 0, "%d threads, six files and two descriptors: who pins has the right file", THREADS);
	is_int(open_fds(), base, "no descriptor is left open");
	is_int(stats_get(STATS_backing_fds), fds, "and none is counted");
	end();
}

int main(void)
{
	alarm(240); /* a lock that is held where it should not be hangs */
	dir = scratch_open();
	if (backing_init(&backing, dir))
		abort();
	handleless = backing;
	handleless.handles = false;
	pthread_barrier_init(&gate, NULL, THREADS);

	test_numbers();
	test_identity();
	test_counts();
	test_handleless();
	test_searchable();
	test_open();
	test_find_or_insert();
	test_churn();
	if (backing.handles) {
		test_cache();
		test_deleted();
		test_pins();
	} else {
		ok(1, "descriptors are a cache # SKIP %s has no file handles, or they need root", scratch);
	}
	pthread_barrier_destroy(&gate);
	backing_fini(&backing);
	return tap_done();
}
