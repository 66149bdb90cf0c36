/* SPDX-License-Identifier: MIT */
#include "quota.h"

#include <jansson.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "users.h"
#include "util.h"

static struct store *store;
static char name[SID_HASH_LEN + 1];

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A session; its data/ is in *data where that is not NULL. */
static void fresh(const char *sid, const char *sub, int *data)
{
	struct meta m;
	bool is_fresh;
	int dir = -1;
	sid_hash(sid, name);
	must(users_enter(store, sub, name, LIMIT_NONE, &is_fresh));
	must(store_claim(store, sid, sub, geteuid(), getegid(), 1000, &m, &dir));
	if (data)
		must(*data = openat(dir, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	close(dir);
}

static struct limits of_session(int64_t bytes, int64_t files)
{
	struct limits l = limits_none();
	l.session_bytes = bytes;
	l.session_files = files;
	return l;
}

static struct quota *start(const char *instance)
{
	const struct limits none = limits_none();
	struct quota *q = quota_new(store, instance, &none);
	if (!q)
		abort();
	return q;
}

static struct account *account(struct quota *q, const char *sub, const struct limits *l)
{
	struct account *a;
	must(quota_account(q, name, sub, l, &a));
	return a;
}

/* Takes and keeps. */
static int64_t add(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files)
{
	int64_t r = quota_take(a, l, bytes, least, files);
	if (r >= 0)
		quota_settle(a, r, files, r, files);
	return r;
}

static void give(struct account *a, int64_t bytes, int64_t files)
{
	quota_expect(a, bytes, files);
	quota_settle(a, bytes, files, 0, 0);
}

static struct ledger_line line_of(struct account *a)
{
	bool unsure;
	return quota_line(a, &unsure);
}

static struct ledger_sum ledger(void)
{
	struct ledger_sum sum;
	must(ledger_read(store, name, NULL, NULL, NULL, &sum));
	return sum;
}

/* Two rounds: what was used in the first is idle in the second. */
static void idle(struct quota *q)
{
	quota_step(q, now_ms());
	quota_step(q, now_ms());
}

static void test_limits(void)
{
	const struct limits l = of_session(1000, 3), less = of_session(500, 1);
	struct quota_report report;
	struct quota *q = start("one");
	fresh("limits", "ada", NULL);
	struct account *a = account(q, "ada", &l);
	ok(!quota_take_granted(a, &l, 1, 0), "nothing is granted at first");
	is_int(add(a, &l, 300, 300, 1), 300, "what fits is taken");
	ok(quota_take_granted(a, &l, 10, 0), "and some more is granted with it");
	quota_settle(a, 10, 0, 0, 0);
	struct ledger_sum sum = ledger();
	ok(sum.lines == 1 && sum.loose == 1 && sum.granted.bytes > 300, "the ledger had it before");
	is_int(add(a, &less, 300, 1, 0), 200, "a request with lower limits gets the less");
	is_int(add(a, &less, 1, 1, 0), -EDQUOT, "and then nothing, though it is granted");
	is_int(add(a, &less, 0, 0, 1), -EDQUOT, "files alike");
	is_int(add(a, &l, 600, 600, 0), -EDQUOT, "all or nothing is refused where it does not fit");
	is_int(add(a, &l, 600, 1, 0), 500, "in part it is taken in part");
	is_int(add(a, &l, 1, 1, 0), -EDQUOT, "full is full");
	is_int(add(a, &l, 1, 1, 0), -EDQUOT, "and again, without asking the store");
	is_int(add(a, &l, 0, 0, 2), 0, "files are counted apart");
	is_int(add(a, &l, 0, 0, 1), -EDQUOT, "and full apart");
	ok(line_of(a).used.bytes == 1000 && line_of(a).used.files == 3, "nothing was taken by who was refused");
	must(quota_report(a, &l, &report));
	ok(report.limit.bytes == 1000 && report.left.bytes == 0 && report.limit.files == 3 && report.left.files == 0,
	   "df is told that it is full");
	give(a, 100, 1);
	is_int(add(a, &l, 200, 1, 0), 100, "what is given back can be taken again at once");
	quota_expect(a, 100, 0);
	quota_settle(a, 100, 0, 100, 0);
	is_int(line_of(a).used.bytes, 1000, "what was expected to go and stayed is not given back");
	int64_t writes = 0;
	struct ledger_sum before = ledger();
	for (int i = 0; i < 1000; i++) {
		give(a, 1, 0);
		writes += add(a, &l, 1, 1, 0) != 1;
	}
	is_int(writes, 0, "a byte more and a byte less, a thousand times");
	ok(memcmp(&before.granted, &(struct usage){ledger().granted.bytes, ledger().granted.files},
		  sizeof(struct usage)) == 0,
	   "asks nobody");
	idle(q);
	sum = ledger();
	ok(!sum.loose && sum.used.bytes == 1000 && sum.granted.bytes == 1000 && sum.used.files == 2,
	   "who is idle has an exact line and no grant");
	quota_put(a);
	quota_free(q);
}

static void test_restart(void)
{
	const struct limits l = of_session(1000, 10);
	int data;
	struct quota *q = start("one");
	fresh("restart", "ada", &data);
	scratch_file(data, "f", 0600, "0123456789");
	struct account *a = account(q, "ada", &l);
	is_int(line_of(a).used.bytes, 0, "what was there before is not ours");
	struct ledger_sum sum = ledger();
	ok(sum.there && sum.base.bytes == 10 && sum.base.files == 1, "but in the base");
	is_int(add(a, &l, 2000, 1, 0), 990, "and counts");
	give(a, 985, 0);
	quota_hold(a, 3, 0);
	quota_put(a);
	quota_free(q);
	sum = ledger();
	ok(!sum.loose && sum.used.bytes == 2, "an orderly end writes what is used, without what was held open");

	q = start("one");
	a = account(q, "ada", &l);
	is_int(line_of(a).used.bytes, 2, "a restart finds it");
	scratch_file(data, "g", 0600, "xx");
	is_int(add(a, &l, 100, 100, 0), 100, "and goes on from there");
	int64_t granted = line_of(a).granted.bytes;
	/* A crash: nobody writes anything any more. */
	struct quota *again = start("one");
	struct account *b = account(again, "ada", &l);
	bool unsure;
	is_int(quota_line(b, &unsure).used.bytes, granted, "after a crash all that was granted counts as used");
	ok(unsure, "until it was counted");
	is_int(add(b, &l, 1000, 1, 0), 990 - granted, "so that nothing grows beyond the limit meanwhile");
	give(b, 990 - granted, 0);
	quota_step(again, now_ms());
	ok(ledger().loose == 1, "and the line does not claim to be exact");
	quota_count(again, now_ms());
	(void)quota_line(b, &unsure);
	idle(again);
	sum = ledger();
	struct usage total = ledger_total(&sum);
	ok(!unsure && !sum.loose && total.bytes == 12 && total.files == 2,
	   "counted, the ledger says what the tree has");
	is_int(add(b, &l, 2000, 1, 0), 988, "and the rest is free");
	quota_put(b);
	quota_free(again);

	/* Damage while it is in use. */
	again = start("one");
	b = account(again, "ada", &l);
	give(b, 988, 0);
	is_int(add(b, &l, 1, 1, 0), 1, "something is granted");
	give(b, 1, 0);
	idle(again);
	must(ledger_write(store, name, "other", &(struct ledger_line){1, true, {0, 0}, {0, 0}, {0, 0}}));
	int dir, usage;
	must(store_session_dir(store, name, &dir));
	must(usage = openat(dir, "usage", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	scratch_file(usage, "other.json", 0600, "{\"version\":1");
	is_int(add(b, &l, 1, 1, 0), -EDQUOT, "with garbage in the ledger nothing may grow");
	quota_count(again, now_ms());
	is_int(add(b, &l, 1, 1, 0), 1, "until it was counted anew");
	is_int(ledger().garbage, 0, "and cleared");
	quota_put(b);
	quota_free(again);
	close(usage);
	close(dir);
	close(data);
	/* The one that crashed is let go without a word to the store. */
	quota_retire(a);
	quota_put(a);
	quota_free(q);
}

static int64_t dead_version;

static bool is_dead(void *ctx, const char *instance, const struct ledger_line *line)
{
	(void)ctx;
	return strcmp(instance, "gone") == 0 && line->version == (uint64_t)dead_version;
}

static void test_recount(void)
{
	int data;
	struct usage was, is;
	fresh("recount", "ada", &data);
	must(ledger_write(store, name, "gone", &(struct ledger_line){5, false, {100, 2}, {900, 9}, {30, 1}}));
	must(ledger_write(store, name, "here", &(struct ledger_line){6, false, {50, 1}, {60, 1}, {20, 1}}));
	scratch_file(data, "f", 0600, "0123456789");
	dead_version = 4;
	is_int(quota_recount(store, name, is_dead, NULL, &was, &is), 0, "a session is counted");
	struct ledger_sum sum = ledger();
	ok(was.bytes == 150 && is.bytes == 60 && sum.loose == 2 && sum.granted.bytes == 960,
	   "what live instances hold open is more than the tree has, and their grants are theirs");
	dead_version = 5;
	must(quota_recount(store, name, is_dead, NULL, &was, &is));
	sum = ledger();
	ok(is.bytes == 30 && is.files == 2 && sum.loose == 1 && sum.granted.bytes == 160,
	   "what a dead one held is closed, and its grant void");
	must(quota_recount(store, name, NULL, NULL, &was, &is));
	ok(was.bytes == 30 && is.bytes == 30, "once more changes nothing");
	close(data);
}

/* --- many at once --- */

#define LIMIT 1000003
#define THREADS 8

struct taker {
	struct account *account;
	const struct limits *limits;
	unsigned seed;
	int64_t taken;
	bool churn; /* gives back now and then, a thousand times, rather than until it is refused */
};

static atomic_bool over;

static void *take_all(void *arg)
{
	struct taker *t = arg;
	for (int i = 0; t->churn ? i < 1000 : 1; i++) {
		int64_t want = 1 + rand_r(&t->seed) % 3000;
		int64_t r = add(t->account, t->limits, want, 1, 0);
		if (r == -EDQUOT && !t->churn)
			break;
		if (r < 0 && r != -EDQUOT)
			abort();
		t->taken += r > 0 ? r : 0;
		if (t->churn && t->taken && rand_r(&t->seed) % 2) {
			int64_t back = 1 + rand_r(&t->seed) % t->taken;
			give(t->account, back, 0);
			t->taken -= back;
		}
	}
	return NULL;
}

/* n takers over these accounts in turn; what they have together. */
static int64_t take_with(struct account **accounts, int n_accounts, const struct limits *l, bool churn)
{
	pthread_t threads[THREADS];
	struct taker takers[THREADS];
	int64_t all = 0;
	for (int i = 0; i < THREADS; i++) {
		takers[i] = (struct taker){accounts[i % n_accounts], l, (unsigned)i + 1, 0, churn};
		if (pthread_create(&threads[i], NULL, take_all, &takers[i]))
			abort();
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		all += takers[i].taken;
	}
	return all;
}

static void *step_often(void *arg)
{
	while (!over) {
		quota_step(arg, now_ms());
		usleep(2000);
	}
	return NULL;
}

static void test_threads(void)
{
	const struct limits l = of_session(LIMIT, LIMIT_NONE);
	struct quota *q = start("one"), *p = start("two");
	fresh("threads", "ada", NULL);
	struct account *a = account(q, "ada", &l);
	pthread_t stepper;
	over = false;
	if (pthread_create(&stepper, NULL, step_often, q))
		abort();
	int64_t left = take_with(&a, 1, &l, true);
	is_int(line_of(a).used.bytes, left, "%d threads that take and give: the account has what they have", THREADS);
	left += take_with(&a, 1, &l, false);
	over = true;
	pthread_join(stepper, NULL);
	is_int(left, LIMIT, "%d threads fill an account to the byte", THREADS);
	idle(q);
	is_int(ledger().used.bytes, LIMIT, "and the ledger says so");
	quota_put(a);

	fresh("instances", "ada", NULL);
	struct account *both[] = {account(q, "ada", &l), account(p, "ada", &l)};
	int64_t all = take_with(both, 2, &l, true);
	all += take_with(both, 2, &l, false);
	ok(all <= LIMIT && all > LIMIT * 7 / 10, "two instances never exceed it together (%lld)", (long long)all);
	idle(q);
	idle(p);
	is_int(ledger().granted.bytes, all, "idle, they have given back what they did not need");
	usleep(60000); /* refusals are remembered for 50 ms */
	is_int(add(both[0], &l, LIMIT, 1, 0), all < LIMIT ? LIMIT - all : -EDQUOT, "and either gets the rest");
	quota_put(both[0]);
	quota_put(both[1]);
	quota_free(q);
	quota_free(p);
}

static void test_users(void)
{
	struct limits l = limits_none();
	l.user_bytes = LIMIT;
	struct quota *q = start("one");
	struct account *both[2];
	fresh("u1", "eve", NULL);
	both[0] = account(q, "eve", &l);
	fresh("u2", "eve", NULL);
	both[1] = account(q, "eve", &l);
	is_int(take_with(both, 2, &l, false), LIMIT, "two sessions of a user fill his limit to the byte");
	fresh("u3", "bob", NULL);
	struct account *other = account(q, "bob", &l);
	is_int(add(other, &l, 1000, 1000, 0), 1000, "another user is not full");
	give(both[0], 100, 0);
	usleep(60000);
	is_int(add(both[1], &l, 1000, 1, 0), 100, "what one session gives back another gets");
	quota_put(other);
	quota_put(both[0]);
	quota_put(both[1]);
	quota_free(q);
}

/* Processes as instances are: nothing is shared but the store. Each says what it took. */
static void test_processes(void)
{
	enum { PROCESSES = 4 };
	const struct limits l = of_session(LIMIT, LIMIT_NONE);
	int64_t all = 0;
	int said[2];
	fresh("processes", "ada", NULL);
	must(pipe2(said, O_CLOEXEC));
	fflush(stdout);
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			char instance[16];
			snprintf(instance, sizeof(instance), "p-%d", i);
			struct quota *q = start(instance);
			struct taker t = {account(q, "ada", &l), &l, (unsigned)i + 1, 0, true};
			take_all(&t);
			t.churn = false;
			take_all(&t);
			quota_free(q);
			_exit(write(said[1], &t.taken, sizeof(t.taken)) != sizeof(t.taken));
		}
	close(said[1]);
	for (int64_t taken; read(said[0], &taken, sizeof(taken)) == sizeof(taken);)
		all += taken;
	close(said[0]);
	int status, failed = 0;
	while (wait(&status) > 0)
		failed += status != 0;
	is_int(failed, 0, "%d processes fill one session", PROCESSES);
	ok(all <= LIMIT && all > LIMIT / 2, "and never exceed its limit (%lld)", (long long)all);
	struct ledger_sum sum = ledger();
	ok(sum.used.bytes == all && !sum.loose, "the ledger has what they have");
}

static void test_gone(void)
{
	const struct limits l = of_session(1000, 10);
	struct quota *q = start("one");
	fresh("gone", "ada", NULL);
	struct account *a = account(q, "ada", &l);
	is_int(add(a, &l, 10, 10, 0), 10, "a session in use");
	must(store_remove(store, name));
	is_int(add(a, &l, 900, 900, 0), -ESTALE, "that is removed gets nothing any more");
	idle(q);
	quota_retire(a);
	fresh("gone", "ada", NULL);
	struct account *b = account(q, "ada", &l);
	ok(a != b && line_of(b).used.bytes == 0, "a new one of its name begins with nothing");
	idle(q);
	ok(!ledger().there, "and the old one writes nothing there");
	quota_put(a);
	quota_put(b);
	quota_free(q);
}

int main(void)
{
	char err[512], path[PATH_MAX + 8];
	if (sodium_init() < 0)
		return 2;
	json_object_seed(0);
	int top = scratch_open();
	must(mkdirat(top, "store", 0700));
	snprintf(path, sizeof(path), "%s/store", scratch);
	must(store_open(path, err, sizeof(err), &store));
	int fds = open_fds();
	test_limits();
	test_restart();
	test_recount();
	test_threads();
	test_users();
	test_processes();
	test_gone();
	is_int(open_fds(), fds, "no descriptor is lost in all this");
	store_close(store);
	close(top);
	return tap_done();
}
