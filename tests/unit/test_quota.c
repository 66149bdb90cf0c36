/* SPDX-License-Identifier: MIT */
#include "quota.h"

#include <jansson.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "count.h"
#include "roster.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "users.h"
#include "util.h"

#define RUN "0123456789abcdef"
#define LATER "fedcba9876543210"

static struct store *store;
static char name[SID_HASH_LEN + 1];
static int session = -1;
static const struct usage nothing;

/* A session; its data/ is in *data where that is not NULL. */
static void fresh(const char *sid, const char *sub, int *data)
{
	struct meta m;
	bool is_fresh;
	session = close_fd(session);
	sid_hash(sid, name);
	must(users_enter(store, sub, name, LIMIT_NONE, &is_fresh));
	must(store_claim(store, sid, sub, geteuid(), getegid(), 1000, &m, &session));
	if (data)
		must(*data = openat(session, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static struct limits of_session(int64_t bytes, int64_t files)
{
	struct limits l = limits_none();
	l.session_bytes = bytes;
	l.session_files = files;
	return l;
}

/* With the heartbeat of a run, as instance.c has it; stopped by stop(). */
static void beat(const char *instance, const char *run, bool stopped)
{
	static int64_t at = 1000;
	struct heartbeat h = {.since = 1000, .beat = ++at, .every = 5, .stopped = stopped};
	snprintf(h.name, sizeof(h.name), "%s", instance);
	snprintf(h.run, sizeof(h.run), "%s", run);
	must(roster_write(store_fd(store), &h));
}

static struct quota *start_as(const char *instance, const char *run)
{
	const struct limits none = limits_none();
	struct quota *q = quota_new(store, instance, run, &none);
	if (!q)
		abort();
	beat(instance, run, false);
	quota_beat(q, account_now());
	return q;
}

static struct quota *start(const char *instance)
{
	return start_as(instance, RUN);
}

static void stop(struct quota *q)
{
	quota_stop(q);
	quota_free(q);
}

static struct account *account(struct quota *q, const char *sub, const struct limits *l)
{
	struct account *a;
	must(quota_account(q, session, name, sub, l, false, &a));
	return a;
}

/* Takes and keeps. */
static int64_t add(struct account *a, const struct limits *l, int64_t bytes, int64_t least, int64_t files)
{
	int64_t r = quota_take(a, l, bytes, least, files);
	const struct usage taken = {r, files};
	if (r >= 0)
		account_settle(a, &taken, &taken, &nothing);
	return r;
}

static void expect(struct account *a, int64_t bytes, int64_t files)
{
	const struct usage most = {bytes, files};
	if (!account_expect_open(a, &most))
		account_expect(a, &most);
}

static void give(struct account *a, int64_t bytes, int64_t files)
{
	const struct usage most = {bytes, files};
	expect(a, bytes, files);
	account_went(a, NULL, &most, &most, &nothing);
}

static bool is_unsure(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	bool unsure = a->unsure;
	pthread_mutex_unlock(&a->lock);
	return unsure;
}

static struct ledger_line line_of(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	struct ledger_line line = {.open = a->open, .used = a->used, .granted = a->granted, .held = a->held};
	pthread_mutex_unlock(&a->lock);
	return line;
}

/* What happens at the next fsync() of this process: in the middle of a write of the ledger. */
static void (*_Atomic at_fsync)(void);

int fsync(int fd)
{
	void (*hook)(void) = atomic_exchange(&at_fsync, NULL);
	if (hook)
		hook();
	return (int)syscall(SYS_fsync, fd);
}

static struct ledger_sum ledger(void)
{
	struct ledger_sum sum;
	must(ledger_read(session, NULL, NULL, NULL, &sum));
	return sum;
}

static int64_t total(void)
{
	struct ledger_sum sum = ledger();
	return ledger_total(&sum).bytes;
}

/* Two rounds: what was used in the first is idle in the second. */
static void idle(struct quota *q)
{
	quota_step(q);
	quota_step(q);
}

/* A round when all that waits for another is due. */
static void count(struct quota *q)
{
	static int64_t later;
	quota_count(q, account_now() + (later += 60000));
}

static void test_limits(void)
{
	const struct limits l = of_session(1000, 3), less = of_session(500, 1);
	struct account_report report;
	struct quota *q = start("one");
	fresh("limits", "ada", NULL);
	struct account *a = account(q, "ada", &l);
	ok(!account_take_granted(a, &l, 1, 0), "nothing is granted at first");
	is_int(add(a, &l, 300, 300, 1), 300, "what fits is taken");
	ok(account_take_granted(a, &l, 10, 0), "and some more is granted with it");
	account_settle(a, &(struct usage){10, 0}, &nothing, &nothing);
	struct ledger_sum sum = ledger();
	ok(sum.lines == 1 && sum.open == 1 && sum.granted.bytes > 300, "the ledger had it before");
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
	must(account_report(a, &l, &report));
	ok(report.limit.bytes == 1000 && report.left.bytes == 0 && report.limit.files == 3 && report.left.files == 0,
	   "df is told that it is full");
	give(a, 100, 1);
	is_int(add(a, &l, 200, 1, 0), 100, "what is given back can be taken again at once");
	expect(a, 100, 0);
	account_went(a, NULL, &(struct usage){100, 0}, &nothing, &nothing);
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
	ok(!sum.open && sum.used.bytes == 1000 && sum.granted.bytes == 1000 && sum.used.files == 2,
	   "who is idle has a closed line and no grant");
	quota_put(a);
	stop(q);
}

/* A crash: its threads are no more, and it writes nothing. */
static void crash(struct quota *q, struct account *a)
{
	quota_retire(a);
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
	ok(sum.counted && sum.base.bytes == 10 && sum.base.files == 1, "but in the base");
	is_int(add(a, &l, 2000, 1, 0), 990, "and counts");
	give(a, 985, 0);
	account_find(a, &nothing, &(struct usage){3, 0});
	quota_put(a);
	stop(q);
	sum = ledger();
	ok(!sum.open && sum.used.bytes == 2, "an orderly end writes what is used, without what was held open");

	q = start_as("one", LATER);
	a = account(q, "ada", &l);
	is_int(line_of(a).used.bytes, 2, "a restart finds it");
	scratch_file(data, "g", 0600, "xx");
	is_int(add(a, &l, 100, 100, 0), 100, "and goes on from there");
	int64_t granted = line_of(a).granted.bytes;
	crash(q, a);
	q = start("one");
	a = account(q, "ada", &l);
	is_int(line_of(a).used.bytes, granted, "after a crash all that was granted counts as used");
	ok(is_unsure(a), "until it was counted");
	is_int(add(a, &l, 1000, 1, 0), 990 - granted, "so that nothing grows beyond the limit meanwhile");
	give(a, 990 - granted, 0);
	count(q);
	ok(!is_unsure(a), "which its own operations, when they are over, do not hinder");
	idle(q);
	sum = ledger();
	struct usage all = ledger_total(&sum);
	ok(!sum.open && all.bytes == 12 && all.files == 2, "counted, the ledger says what the tree has");
	is_int(add(a, &l, 2000, 1, 0), 988, "and the rest is free");
	give(a, 988, 0);
	crash(q, a);

	/* The crash of one that only removes. */
	q = start_as("one", LATER);
	a = account(q, "ada", &l);
	count(q);
	idle(q);
	must(unlinkat(data, "f", 0));
	expect(a, 10, 1);
	crash(q, a);
	q = start("one");
	a = account(q, "ada", &l);
	ok(is_unsure(a), "a crash in the middle of a removal leaves a doubt, too");
	count(q);
	idle(q);
	is_int(total(), 2, "and the count is right");

	/* Damage while it is in use. */
	is_int(add(a, &l, 1, 1, 0), 1, "something is granted");
	give(a, 1, 0);
	idle(q);
	must(ledger_write(session, "other", &(struct ledger_line){.version = 1, .run = RUN}));
	int usage;
	must(usage = openat(session, "usage", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	scratch_file(usage, "other.json", 0600, "{\"version\":1");
	is_int(add(a, &l, 1, 1, 0), -EDQUOT, "with garbage in the ledger nothing may grow");
	count(q);
	is_int(add(a, &l, 1, 1, 0), 1, "until it was counted anew");
	is_int(ledger().garbage, 0, "and cleared");
	give(a, 1, 0);
	idle(q);
	scratch_file(usage, "one.json", 0600, "{\"version\":1");
	is_int(add(a, &l, 1, 1, 0), -EDQUOT, "its own line, damaged, too");
	count(q);
	is_int(add(a, &l, 1, 1, 0), 1, "is written anew");
	give(a, 1, 0);
	idle(q);
	must(ledger_write(session, "one", &(struct ledger_line){.version = 1, .run = RUN}));
	is_int(add(a, &l, 900, 900, 0), 900, "one that somebody replaced is seen");
	ok(is_unsure(a), "and a reason to count");
	give(a, 900, 0);
	count(q);
	idle(q);
	is_int(total(), 2, "to be right again");
	quota_put(a);
	stop(q);
	close(usage);
	close(data);
}

/* What a count meets must not make it wrong. */
static void test_count(void)
{
	const struct limits l = of_session(1000000, 1000);
	int data;
	struct quota *q = start("one");
	fresh("count", "ada", &data);
	scratch_file(data, "f", 0600, "0123456789");
	struct account *a = account(q, "ada", &l);
	struct witness w = {.storefd = store_fd(store), .now = 1000};
	struct usage some = {5, 0};

	must((int)quota_take(a, &l, 5, 5, 0) - 5);
	is_int(account_count(a, &w, 0), -EAGAIN, "no count holds while something is under way");
	account_settle(a, &some, &nothing, &nothing);
	expect(a, 0, 0);
	is_int(account_count(a, &w, 0), -EAGAIN, "be it a move");
	account_went(a, NULL, &nothing, &nothing, &nothing);
	is_int(account_count(a, &w, 0), 0, "then it does");

	must(ledger_write(session, "two", &(struct ledger_line){.version = 1, .run = RUN, .open = true}));
	beat("two", RUN, false);
	is_int(account_count(a, &w, 0), -EBUSY, "nor while another instance has its line open");
	w.now = 1000 + LEDGER_DEAD - 1;
	is_int(account_count(a, &w, 0), -EBUSY, "and may live");
	beat("two", RUN, false);
	w.now = 1000 + LEDGER_DEAD;
	is_int(account_count(a, &w, 0), -EBUSY, "which a heartbeat says");
	w.now = 1000 + 2 * LEDGER_DEAD;
	is_int(account_count(a, &w, 0), -EBUSY, "though the question before was long ago");
	w.now = 1000 + 3 * LEDGER_DEAD;
	is_int(account_count(a, &w, 0), 0, "without one it is dead after a while");
	ok(!ledger().open || ledger().open == line_of(a).open, "and its line is closed for it");

	must(ledger_write(session, "two", &(struct ledger_line){2, LATER, true, false, {7, 1}, {70, 7}, {3, 1}}));
	is_int(account_count(a, &w, 0), 0, "one of an earlier run is dead at once");
	struct ledger_sum sum = ledger();
	ok(sum.used.bytes == 4 && sum.granted.bytes - line_of(a).granted.bytes == 4 && !sum.held.bytes,
	   "its grant is void, and what it held is closed");
	idle(q);
	is_int(total(), 10, "and the sum is what the tree has");

	beat("two", RUN, true);
	must(ledger_write(session, "two", &(struct ledger_line){3, RUN, true, false, {4, 0}, {4, 0}, {0, 0}}));
	w.now = 1000 + 2 * LEDGER_DEAD;
	is_int(account_count(a, &w, 0), 0, "one that has stopped is dead, too");

	/* Who began since the witness looked is not taken for dead, however long ago that was. */
	beat("two", LATER, false);
	must(ledger_write(session, "two", &(struct ledger_line){5, LATER, true, false, {4, 0}, {4, 0}, {0, 0}}));
	is_int(account_count(a, &w, 0), -EBUSY, "a run that began since lives");
	beat("three", RUN, false);
	must(ledger_write(session, "two", &(struct ledger_line){6, LATER, false, false, {4, 0}, {4, 0}, {0, 0}}));
	must(ledger_write(session, "three", &(struct ledger_line){1, RUN, true, false, {0, 0}, {0, 0}, {0, 0}}));
	is_int(account_count(a, &w, 0), -EBUSY, "and so does an instance that did");
	beat("three", RUN, true);
	is_int(account_count(a, &w, 0), 0, "until it stops");
	must(roster_remove(store_fd(store), "two"));
	must(ledger_write(session, "two", &(struct ledger_line){4, RUN, true, false, {4, 0}, {4, 0}, {0, 0}}));
	w.now = 1000 + 2 * LEDGER_DEAD;
	is_int(account_count(a, &w, 0), 0, "and one that nobody knows");
	idle(q);
	is_int(total(), 10, "the sum stays");
	quota_put(a);
	stop(q);
	close(data);
}

/* A line is open before anything happens, and closed only when nothing does. */
static void test_open(void)
{
	const struct limits l = of_session(1000000, 1000);
	struct quota *q = start("one");
	fresh("open", "ada", NULL);
	struct account *a = account(q, "ada", &l);
	must((int)add(a, &l, 5, 5, 1) - 5);
	idle(q);
	is_int(ledger().open, 0, "a line is closed at rest");
	ok(!account_expect_open(a, &nothing), "so that nothing begins without going to the store");
	ok(!account_take_granted(a, &l, 1, 0), "nor grows");
	account_expect(a, &(struct usage){1, 0});
	is_int(ledger().open, 1, "before something goes it is open");
	idle(q);
	is_int(ledger().open, 1, "and stays so while that is under way");
	account_went(a, NULL, &(struct usage){1, 0}, &(struct usage){1, 0}, &nothing);
	quota_step(q);
	is_int(ledger().open, 1, "and for a round after it");
	quota_step(q);
	is_int(ledger().open, 0, "then it is closed");
	is_int(ledger().used.bytes, 4, "with what is left");

	/* Heartbeats that could not be written: others may have taken us for dead. */
	must((int)add(a, &l, 5, 5, 0) - 5);
	ok(account_take_granted(a, &l, 1, 0), "with a grant, and a heart that beats, nobody is asked");
	account_settle(a, &(struct usage){1, 0}, &nothing, &nothing);
	a->writer->beat = account_now() - LEDGER_LEASE;
	ok(!account_take_granted(a, &l, 1, 0), "without heartbeats no grant is good");
	ok(!account_expect_open(a, &nothing), "and no line counts as open");
	is_int(add(a, &l, 5, 5, 0), 5, "the store is asked each time");
	quota_beat(q, account_now() + 1);
	ok(!account_take_granted(a, &l, 1, 0), "a line from before the heart beats again is not good either");
	is_int(add(a, &l, 5, 5, 0), 5, "it is written anew");
	quota_put(a);
	stop(q);
}

static void resize(int dir, const char *file, off_t size)
{
	int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	must(fd);
	must(ftruncate(fd, size));
	close(fd);
}

/* No heartbeat for a while, and again one. */
static void lapse(struct account *a)
{
	usleep(2000);
	a->writer->since = account_now();
	usleep(2000);
}

/* What others, who took us for dead, have done is not undone by what was granted before. */
static void test_lease(void)
{
	const struct limits l = of_session(8000, 1000);
	int data;
	struct quota *q = start("one");
	fresh("lease", "ada", &data);
	struct account *a = account(q, "ada", &l);
	must((int)add(a, &l, 800, 800, 1) - 800);
	scratch_file(data, "f", 0600, "");
	resize(data, "f", 800);
	ok(line_of(a).granted.bytes > 1000, "more is granted than used");
	lapse(a);
	expect(a, 0, 0);
	ok(account_expect_open(a, &nothing) && !account_take_granted(a, &l, 100, 0),
	   "a line that is opened after a pause of the heart brings no old grant back");
	account_went(a, NULL, &nothing, &nothing, &nothing);
	account_went(a, NULL, &nothing, &nothing, &nothing);
	must((int)add(a, &l, 1, 1, 0) - 1);
	give(a, 1, 0);
	ok(line_of(a).granted.bytes > 1000, "granted again");
	expect(a, 0, 0);
	lapse(a);
	a->written -= 10000; /* long enough ago for a round to write it */
	quota_step(q);
	ok(account_expect_open(a, &nothing) && !account_take_granted(a, &l, 100, 0),
	   "nor does one that a round writes anew");
	account_went(a, NULL, &nothing, &nothing, &nothing);
	account_went(a, NULL, &nothing, &nothing, &nothing);
	idle(q);
	count(q);
	idle(q);
	ok(!is_unsure(a) && total() == 800, "all is counted");

	/* 700 bytes went since the line was written; another counts that, and folds it. */
	must((int)add(a, &l, 1, 1, 0) - 1);
	give(a, 1, 0);
	resize(data, "f", 100);
	give(a, 700, 0);
	struct witness w = {.storefd = store_fd(store)};
	struct count c;
	w.now = 1000;
	is_int(count_take(session, "two", &w, 0, false, &c), -EBUSY, "an instance with its line open is not counted");
	w.now = 1001;
	is_int(count_take(session, "two", &w, 0, false, &c), -EBUSY, "nor a moment later");
	w.now = 1001 + LEDGER_DEAD;
	must(count_take(session, "two", &w, 0, false, &c));
	must(count_keep(store, session, "two", &w, &c, &nothing));
	is_int(total(), 100, "an instance whose heart pauses is counted without it");
	lapse(a);
	idle(q);
	ok(is_unsure(a), "which it sees when it closes its line");
	count(q);
	idle(q);
	is_int(total(), 100, "and counts, too");
	quota_put(a);
	stop(q);
	close(data);
}

/* The first count of a session that is too large to be waited for, and of one that is in use already. */
static void test_first(void)
{
	const struct limits l = of_session(1000000, 1000000);
	int data;
	struct account *a;
	struct quota *q = start("one");
	fresh("large", "ada", &data);
	for (int i = 0; i <= QUOTA_COUNTED_AT_ONCE; i++) {
		char file[16];
		snprintf(file, sizeof(file), "f%d", i);
		must(mknodat(data, file, S_IFREG | 0600, 0));
	}
	a = account(q, "ada", &l);
	is_int(add(a, &l, 1, 1, 0), -EDQUOT, "what is not counted yet does not grow");
	give(a, 0, 1);
	count(q);
	is_int(add(a, &l, 1, 1, 0), 1, "but when it is");
	is_int(ledger().base.files, QUOTA_COUNTED_AT_ONCE + 1 + 1, "with what went meanwhile in our line");
	quota_put(a);
	close(data);

	fresh("live", "ada", &data);
	scratch_file(data, "f", 0600, "0123456789");
	must(quota_account(q, session, name, "ada", &l, true, &a));
	is_int(add(a, &l, 1, 1, 0), -EDQUOT, "nor does one of which something may be under way");
	scratch_file(data, "g", 0600, "0123456789");
	quota_count(q, account_now());
	is_int(add(a, &l, 1, 1, 0), -EDQUOT, "for a moment");
	count(q);
	is_int(add(a, &l, 1, 1, 0), 1, "then it is counted");
	is_int(ledger().base.bytes, 20, "with that");

	/* Another instance counted it, while it was live here without. */
	idle(q);
	quota_retire(a);
	quota_put(a);
	scratch_file(data, "h", 0600, "0123456789");
	must(quota_account(q, session, name, "ada", &l, true, &a));
	is_int(add(a, &l, 1, 1, 0), 1, "one that others have counted goes on");
	give(a, 1, 0);
	count(q);
	idle(q);
	is_int(total(), 30, "and is counted once more");
	quota_put(a);
	stop(q);
	close(data);
}

/* Two instances begin with a session, and one of them counts it, and is at work from then on. */
static void test_at_once(void)
{
	const struct limits l = of_session(1000, 10);
	struct quota *q = start("one"), *p = start("two");
	struct account *a, *b;
	fresh("at-once", "ada", NULL);
	must(quota_account(p, session, name, "ada", &l, true, &b));
	is_int(add(b, &l, 1, 1, 0), -EDQUOT, "nothing grows before it is counted");
	a = account(q, "ada", &l);
	is_int(add(a, &l, 1, 1, 0), 1, "by another, who is at work");
	usleep(60000); /* refusals are remembered for 50 ms */
	is_int(add(b, &l, 1, 1, 0), 1, "is counted, too");
	quota_put(a);
	quota_put(b);
	stop(q);
	stop(p);
}

/* What one frees while another is there may have been freed by that as well. */
static void test_doubt(void)
{
	const struct limits l = of_session(8000, 100);
	const struct usage all = {2000, 0};
	int data;
	struct quota *q = start("one"), *p = start("two");
	fresh("doubt", "ada", &data);
	struct account *a = account(q, "ada", &l), *b = account(p, "ada", &l);
	int fd = openat(data, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	is_int(add(a, &l, 2000, 2000, 1), 2000, "a file of one instance");
	must(ftruncate(fd, 2000));
	/* Both saw 2000 bytes, and cut it. */
	account_expect(b, &all);
	account_expect(a, &all);
	must(ftruncate(fd, 0));
	account_went(a, &l, &all, &all, &nothing);
	account_went(b, &l, &all, &all, &nothing);
	is_int(line_of(a).used.bytes + line_of(b).used.bytes, 2000, "that two cut at once is free to neither at first");
	struct account_report report;
	must(account_report(a, &l, &report));
	must(account_report(b, &l, &report));
	is_int(line_of(a).used.bytes + line_of(b).used.bytes, -2000, "and can be used by each after a look");
	for (int i = 0; i < 4; i++) {
		account_expect(a, &all);
		account_went(a, &l, &all, &all, &nothing);
		must(account_report(a, &l, &report));
	}
	is_int(line_of(a).used.bytes, -6000, "up to the limit");
	ok(is_unsure(a) && is_unsure(b), "until it is counted");
	count(p);
	ok(is_unsure(b), "when both are quiet");
	idle(q);
	idle(p);
	count(q);
	count(p);
	idle(q);
	idle(p);
	ok(!is_unsure(a) && !is_unsure(b), "then it is");
	is_int(total(), 0, "and right");
	is_int(add(a, &l, 9000, 1, 0), 8000, "so that all is free");
	close(fd);
	quota_put(a);
	quota_put(b);
	stop(q);
	stop(p);
	close(data);
}

static struct account *freeing, *beside;

static void free_in_a_crowd(void)
{
	const struct limits l = of_session(8000, 100);
	const struct usage all = {1000, 0};
	ok(account_expect_open(freeing, &all), "something is freed while the base is written");
	account_went(freeing, &l, &all, &all, &nothing);
	account_expect(beside, &nothing);
	account_went(beside, NULL, &nothing, &nothing, &nothing);
}

/* Who writes within a file has its line open, which who cuts it sees, whoever opened first. */
static void test_within(void)
{
	const struct limits l = of_session(8000, 100);
	const struct usage all = {2000, 0};
	int data;
	struct quota *q = start("one"), *p = start("two");
	fresh("within", "ada", &data);
	struct account *a = account(q, "ada", &l), *b = account(p, "ada", &l);
	must((int)add(a, &l, 2000, 2000, 1) - 2000);
	account_expect(b, &nothing);
	expect(a, 2000, 0);
	account_went(a, &l, &all, &all, &nothing);
	account_went(b, NULL, &nothing, &nothing, &nothing);
	struct account_report report;
	must(account_report(a, &l, &report));
	is_int(line_of(a).used.bytes, 0, "what was cut while another wrote can be used again");
	ok(is_unsure(a), "and is to be counted");
	idle(p);
	idle(q);
	count(q);
	idle(q);
	is_int(total(), 0, "which makes it right");
	int64_t before = line_of(a).used.bytes;
	must((int)add(a, &l, 2000, 2000, 1) - 2000);
	expect(a, 2000, 0);
	account_went(a, &l, &all, &all, &nothing);
	is_int(line_of(a).used.bytes, before + 2000, "what was cut alone waits for a look");
	quota_step(q);
	is_int(line_of(a).used.bytes, before, "which comes with the next round");
	ok(!is_unsure(a), "and leaves no doubt");
	must((int)add(a, &l, 2000, 2000, 1) - 2000);
	expect(a, 2000, 0);
	account_went(a, &l, &all, &all, &nothing);
	is_int(add(a, &l, 8000, 8000, 0), 8000, "or at once where it is needed");
	quota_put(a);
	quota_put(b);
	stop(q);
	stop(p);
	close(data);
}

/* A doubt that comes up while a count is written is none that it removes. */
static void test_doubt_meanwhile(void)
{
	const struct limits l = of_session(8000, 100);
	int data;
	struct quota *q = start("one"), *p = start("two");
	fresh("meanwhile", "ada", &data);
	struct account *a = account(q, "ada", &l), *b = account(p, "ada", &l);
	must((int)add(b, &l, 2000, 2000, 1) - 2000);
	account_expect(a, &nothing);
	account_went(a, NULL, &nothing, &nothing, &nothing);
	idle(p);
	freeing = a;
	beside = b;
	at_fsync = free_in_a_crowd;
	struct witness w = {.storefd = store_fd(store)};
	is_int(account_count(a, &w, 0), 0, "a count");
	ok(is_unsure(a), "leaves it");
	at_fsync = NULL;
	quota_put(a);
	quota_put(b);
	stop(q);
	stop(p);
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
		quota_step(arg);
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
	stop(q);
	stop(p);
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
	stop(q);
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
			stop(q);
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
	ok(sum.used.bytes == all && !sum.open, "the ledger has what they have");
}

static void test_gone(void)
{
	const struct limits l = of_session(1000, 10);
	struct quota *q = start("one");
	fresh("gone", "ada", NULL);
	struct account *a = account(q, "ada", &l);
	is_int(add(a, &l, 10, 10, 0), 10, "a session in use");
	must(store_remove(store, name));
	while (store_empty_trash(store, 100) > 0)
		;
	is_int(add(a, &l, 900, 900, 0), -ESTALE, "that is deleted gets nothing any more");
	fresh("gone", "ada", NULL);
	struct account *b = account(q, "ada", &l);
	ok(a != b && line_of(b).used.bytes == 0, "a new one of its name begins with nothing");
	idle(q);
	ok(!ledger().lines, "and the old one writes nothing there");
	is_int(add(a, &l, 1, 1, 0), -ESTALE, "nor has anything");
	quota_put(a);
	quota_put(b);
	stop(q);
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
	test_count();
	test_open();
	test_lease();
	test_first();
	test_at_once();
	test_doubt();
	test_doubt_meanwhile();
	test_within();
	test_threads();
	test_users();
	test_processes();
	test_gone();
	session = close_fd(session);
	is_int(open_fds(), fds, "no descriptor is lost in all this");
	store_close(store);
	close(top);
	return tap_done();
}
