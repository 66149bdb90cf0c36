/* SPDX-License-Identifier: MIT */
/* How sessions go: by which of several removers, never under one who was told that it is his, and what a crash leaves. */
#include "trash.h"

#include <jansson.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "ended.h"
#include "store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "tree.h"
#include "util.h"

#define NOW INT64_C(1770000000)
#define LONG_AGO (NOW - 100000)

static int top;

static struct store *open_store(const char *name)
{
	char path[PATH_MAX + 16], err[512];
	struct store *s;
	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	mkdir(path, 0700);
	if (store_open(path, err, sizeof(err), &s) < 0) {
		printf("Bail out! %s\n", err);
		exit(1);
	}
	return s;
}

static const char *name_of(const char *sid)
{
	static _Thread_local char name[SID_HASH_LEN + 1];
	sid_hash(sid, name);
	return name;
}

/* Its directory, which the caller closes, or -errno. */
static int claim(struct store *s, const char *sid, int64_t now)
{
	struct meta m;
	int dir;
	int r = store_claim(s, sid, "ada", geteuid(), getegid(), now, &m, &dir);
	return r < 0 ? r : dir;
}

static ino_t inode(int dir)
{
	struct stat st;
	return fstat(dir, &st) < 0 ? 0 : st.st_ino;
}

/* What is in its place: its inode, 0 for nothing. */
static ino_t in_place(struct store *s, const char *sid)
{
	char path[128];
	struct stat st;
	snprintf(path, sizeof(path), "sessions/%.2s/%s", name_of(sid), name_of(sid));
	return fstatat(store_fd(s), path, &st, 0) < 0 ? 0 : st.st_ino;
}

static int entries(struct store *s, const char *path)
{
	_cleanup_closedir_ DIR *d = NULL;
	if (tree_opendir(store_fd(s), path, &d) < 0)
		return -1;
	int n = -2;
	while (readdir(d))
		n++;
	return n;
}

struct heard {
	char last[SID_HASH_LEN + 1];
	int n;
};

static void hear(const char *name, void *ctx)
{
	struct heard *h = ctx;
	h->n++;
	snprintf(h->last, sizeof(h->last), "%s", name);
}

static int told(struct store *s, const char *sid)
{
	struct heard h = {.n = 0};
	if (ended_each(store_fd(s), hear, &h) < 0)
		return -1;
	return strcmp(h.last, name_of(sid)) == 0 ? h.n : -h.n;
}

static bool is_unused(const struct meta *m, void *ctx)
{
	return m->last_used < *(const int64_t *)ctx;
}

static int remove_unused(struct store *s, const char *sid, int64_t before)
{
	return store_remove_if(s, name_of(sid), is_unused, &before);
}

/* --- one after the other --- */

/* Uses the session between the two looks of its removal; or takes it away then. */
struct meddler {
	struct store *s;
	const char *sid;
	int calls, says;
	enum { USE, REVOKE, STEAL, RECREATE } what;
};

static bool set_revoked(struct meta *m, void *ctx)
{
	(void)ctx;
	m->revoked = true;
	return true;
}

static bool meddle(const struct meta *m, void *ctx)
{
	struct meddler *d = ctx;
	if (d->calls++ == 0) {
		/* The first look, in its place. */
		if (d->what == USE) {
			_cleanup_close_ int dir = claim(d->s, d->sid, NOW);
			d->says = store_use(d->s, name_of(d->sid), dir, NOW);
		}
		if (d->what == REVOKE)
			d->says = store_meta_update(d->s, name_of(d->sid), set_revoked, NULL);
		return true;
	}
	if (d->what == STEAL) /* the second: somebody who wants to bind it finds it on its way out */
		d->says = trash_return(store_fd(d->s), name_of(d->sid));
	if (d->what == RECREATE) { /* as one would who did not look for it */
		char path[128];
		snprintf(path, sizeof(path), "sessions/%.2s/%s", name_of(d->sid), name_of(d->sid));
		must(mkdirat(store_fd(d->s), path, 0700));
		snprintf(path, sizeof(path), "sessions/%.2s/%s/x", name_of(d->sid), name_of(d->sid));
		must(mkdirat(store_fd(d->s), path, 0700));
		return false;
	}
	return m->last_used < NOW;
}

static int meddled(struct store *s, const char *sid, int what, int *says)
{
	struct meddler d = {.s = s, .sid = sid, .what = what};
	int r = store_remove_if(s, name_of(sid), meddle, &d);
	*says = d.says;
	return r;
}

static void test_remove_if(void)
{
	struct store *s = open_store("if");
	int dir = claim(s, "s1", LONG_AGO), says;
	ino_t was = inode(dir);
	struct meta m;

	is_int(entries(s, "leaving") + entries(s, "ended"), 0, "a store begins with nobody leaving, and nothing told");
	is_int(remove_unused(s, "s1", LONG_AGO), -EAGAIN, "a session in use is not removed");
	ok(in_place(s, "s1") == was && told(s, "s1") == 0, "nor told to have ended");
	is_int(remove_unused(s, "s9", NOW), -ENOENT, "nor one that is not there");

	is_int(meddled(s, "s1", USE, &says), -EAGAIN, "one that is used when it was found to be idle is put back");
	ok(says == 0 && in_place(s, "s1") == was, "and who used it was told the truth");
	is_int(store_meta_read(s, name_of("s1"), &m), 0, "and it can be read");
	ok(m.last_used == NOW && !m.revoked && told(s, "s1") == 0, "as it was, with its use");
	is_int(entries(s, "leaving") + entries(s, "trash"), 0, "nothing of it is elsewhere");
	close(claim(s, "s2", LONG_AGO));
	is_int(meddled(s, "s2", STEAL, &says), -EAGAIN, "one that is put back by somebody else meanwhile stays");
	ok(says == 1 && in_place(s, "s2") && entries(s, "trash") == 0, "where that somebody found it");

	is_int(remove_unused(s, "s1", NOW + 1), 0, "an idle session is removed");
	ok(!in_place(s, "s1") && entries(s, "trash") == 1 && entries(s, "leaving") == 0, "and is in the trash");
	is_int(told(s, "s1"), 1, "the others are told");
	ok(faccessat(dir, "revoked", F_OK, 0) == 0, "who holds its directory sees that it has ended");
	is_int(store_use(s, name_of("s1"), dir, NOW + 2), -ENOENT, "and can't use it");

	int anew = claim(s, "s1", NOW);
	ok(anew >= 0 && inode(anew) != was, "its id can be claimed anew, as another session");
	is_int(store_use(s, name_of("s1"), dir, NOW + 2), -ENOENT, "which is not what the first one was told is his");
	is_int(store_meta_read(s, name_of("s1"), &m), 0, "nor is anything written there:");
	ok(m.last_used == NOW && m.version == 1, "it is as it was made");
	is_int(store_use(s, name_of("s1"), anew, NOW + 2), 0, "who claimed that one can use it");
	close(anew);
	close(dir);
	is_int(meddled(s, "s2", RECREATE, &says), -EAGAIN, "where another session has come into the place");
	ok(entries(s, "leaving") == 0 && entries(s, "trash") == 2, "the old one does not replace it");
	store_close(s);
}

static void test_use(void)
{
	struct store *s = open_store("use");
	int dir = claim(s, "s1", LONG_AGO);
	struct meta m;
	is_int(store_use(s, name_of("s1"), dir, NOW), 0, "that a session is used is written");
	store_meta_read(s, name_of("s1"), &m);
	ok(m.last_used == NOW && m.version == 2 && m.created == LONG_AGO, "and nothing else");
	is_int(store_use(s, name_of("s1"), dir, NOW - 50), 0, "by a clock that is behind");
	store_meta_read(s, name_of("s1"), &m);
	ok(m.last_used == NOW && m.version == 2, "it is not written back in time");
	store_meta_update(s, name_of("s1"), set_revoked, NULL);
	is_int(told(s, "s1"), 1, "a revocation is told");
	is_int(store_use(s, name_of("s1"), dir, NOW + 5), -EKEYREVOKED, "a revoked session can't be used");
	store_meta_update(s, name_of("s1"), set_revoked, NULL);
	is_int(told(s, "s1"), 1, "and is told to have ended once");
	is_int(store_remove(s, name_of("s1")), 0, "when it is removed,");
	is_int(told(s, "s1"), 2, "that is told as well");
	close(dir);
	dir = claim(s, "s2", NOW);
	must(unlinkat(dir, "meta.json", 0));
	is_int(store_use(s, name_of("s2"), dir, NOW + 5), -EUCLEAN,
	       "a damaged one can't be used, and is not taken for gone");
	close(dir);
	store_close(s);
}

/* --- what a crash leaves --- */

static void strand(struct store *s, const char *sid, const char *unique)
{
	char from[128], to[256];
	snprintf(from, sizeof(from), "sessions/%.2s/%s", name_of(sid), name_of(sid));
	snprintf(to, sizeof(to), "leaving/%s.tmp-host-1-%s", name_of(sid), unique);
	must(renameat(store_fd(s), from, store_fd(s), to));
}

static void test_stranded(void)
{
	struct store *s = open_store("stranded");
	struct trash_seen seen = {.n = 0};
	int dir = claim(s, "s1", NOW);
	ino_t was = inode(dir);
	close(dir);

	strand(s, "s1", "a");
	dir = claim(s, "s1", NOW);
	ok(dir >= 0 && inode(dir) == was && in_place(s, "s1") == was,
	   "who binds a session that a crash left on its way out gets that very session");
	close(dir);

	strand(s, "s1", "b");
	is_int(trash_return_stranded(store_fd(s), &seen), 0, "what may be on its way out at this moment is left alone");
	is_int(in_place(s, "s1"), 0, "where it is");
	is_int(trash_return_stranded(store_fd(s), &seen), 1, "what is there at the next look too goes back");
	ok(in_place(s, "s1") == was, "to its place");
	is_int(trash_return_stranded(store_fd(s), &seen), 0, "once");
	is_int(entries(s, "leaving"), 0, "and nothing is left");

	/* Somebody's who did not look for it, or looked too early. */
	strand(s, "s1", "c");
	char path[128];
	snprintf(path, sizeof(path), "sessions/%.2s/%s", name_of("s1"), name_of("s1"));
	must(mkdirat(store_fd(s), path, 0700));
	snprintf(path, sizeof(path), "sessions/%.2s/%s/x", name_of("s1"), name_of("s1"));
	must(mkdirat(store_fd(s), path, 0700));
	is_int(trash_return(store_fd(s), name_of("s1")), 1, "where another session is in its place");
	ok(in_place(s, "s1") != was && entries(s, "trash") == 1, "that one stays, and the old one goes");

	/* Names that nobody of ours has made. */
	must(mkdirat(store_fd(s), "leaving/x", 0700));
	snprintf(path, sizeof(path), "leaving/%s", name_of("s3"));
	must(mkdirat(store_fd(s), path, 0700));
	seen = (struct trash_seen){.n = 0};
	is_int(trash_return_stranded(store_fd(s), &seen) + trash_return_stranded(store_fd(s), &seen), 0,
	       "what is no session is left alone");
	is_int(trash_count(store_fd(s), 10), 1, "what is in the trash can be counted");
	is_int(trash_count(store_fd(s), 0), 0, "up to a bound");
	store_close(s);
}

/* --- at once --- */

#define ROUNDS 1000
#define REMOVERS 3

struct race {
	struct store *stores[REMOVERS + 1]; /* one of each thread: as many daemons */
	char sid[16];
	pthread_barrier_t gate;
	int64_t limit;
	bool drop; /* they remove without asking */
	int late;  /* for how long they hold back, in turns of a loop */
	int removed, other;
	ino_t granted; /* what the user was told is his */
};

struct runner {
	struct race *race;
	int number;
};

static void *remover(void *arg)
{
	struct runner *r = arg;
	struct store *s = r->race->stores[r->number];
	pthread_barrier_wait(&r->race->gate);
	for (volatile int i = 0; i < r->race->late; i++)
		; /* so that the user is first now and then, and now and then almost */
	int err = r->race->drop ? store_remove(s, name_of(r->race->sid))
				: remove_unused(s, r->race->sid, r->race->limit);
	if (err == 0)
		__atomic_add_fetch(&r->race->removed, 1, __ATOMIC_RELAXED);
	else if (err != -EAGAIN && err != -ENOENT)
		__atomic_store_n(&r->race->other, err, __ATOMIC_RELAXED);
	return NULL;
}

/* As a bind does it: claim, write the use, and only then say that it is his. */
static void *user(void *arg)
{
	struct race *race = arg;
	struct store *s = race->stores[REMOVERS];
	pthread_barrier_wait(&race->gate);
	for (int r = -ENOENT, i = 0; r == -ENOENT && i < 100; i++) {
		_cleanup_close_ int dir = claim(s, race->sid, NOW);
		r = dir < 0 ? dir : store_use(s, name_of(race->sid), dir, NOW);
		if (r == 0)
			race->granted = inode(dir);
		else if (r != -ENOENT)
			race->other = r;
	}
	return NULL;
}

static void run_race(struct race *race, bool with_user, int round)
{
	pthread_t threads[REMOVERS + 1];
	struct runner runners[REMOVERS];
	snprintf(race->sid, sizeof(race->sid), "r%d", round);
	close(claim(race->stores[0], race->sid, LONG_AGO));
	race->removed = 0;
	race->granted = 0;
	pthread_barrier_init(&race->gate, NULL, REMOVERS + with_user);
	for (int i = 0; i < REMOVERS; i++) {
		runners[i] = (struct runner){race, i};
		if (pthread_create(&threads[i], NULL, remover, &runners[i]))
			abort();
	}
	if (with_user && pthread_create(&threads[REMOVERS], NULL, user, race))
		abort();
	for (int i = 0; i < REMOVERS + with_user; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&race->gate);
}

static void test_races(void)
{
	struct race race = {.limit = NOW};
	int wrong = 0, survived = 0, lost = 0, ungranted = 0;
	for (int i = 0; i <= REMOVERS; i++)
		race.stores[i] = open_store("races");

	for (int i = 0; i < ROUNDS; i++) {
		run_race(&race, false, i);
		wrong += race.removed != 1 || in_place(race.stores[0], race.sid);
	}
	is_int(wrong, 0, "of %d who remove an idle session at once exactly one does, in %d rounds", REMOVERS, ROUNDS);

	race.drop = true;
	wrong = 0;
	for (int i = 0; i < ROUNDS; i++) {
		run_race(&race, false, ROUNDS + i);
		wrong += race.removed != 1 || in_place(race.stores[0], race.sid);
	}
	is_int(wrong, 0, "and of those who drop it");

	race.drop = false;
	for (int i = 0; i < ROUNDS; i++) {
		race.late = i % 50 * 3000;
		run_race(&race, true, 2 * ROUNDS + i);
		ungranted += !race.granted;
		lost += race.granted != in_place(race.stores[0], race.sid);
		survived += !race.removed;
		wrong += race.removed > 1;
	}
	is_int(lost, 0, "no session that a user was told is his is removed as idle, in %d rounds", ROUNDS);
	is_int(ungranted, 0, "and every user got one");
	is_int(wrong, 0, "nor is one removed twice");
	printf("# in %d rounds the user was first in %d\n", ROUNDS, survived);
	is_int(race.other, 0, "no other error comes of it");
	is_int(entries(race.stores[0], "leaving"), 0, "and nobody is left on the way");
	for (int i = 0; i <= REMOVERS; i++)
		store_close(race.stores[i]);
}

/* --- what is told --- */

static void test_ended(void)
{
	struct store *s = open_store("ended");
	static struct ended e;
	ended_init(&e, store_fd(s));
	for (int i = 0; i < 3; i++)
		ended_tell(&e, name_of("s1"));
	is_int(told(s, "s1"), 3, "what has ended is heard as often as it is told");
	is_int(ended_tell_again(&e), 0, "and then all is told");
	must(mkdirat(store_fd(s), "ended/rubbish", 0700));
	scratch_file(store_fd(s), "ended/0123.tmp-x", 0600, "garbage");
	is_int(told(s, "s1"), 3, "rubbish is passed over");
	is_int(ended_sweep(store_fd(s), 100), 0, "what is fresh stays");
	is_int(entries(s, "ended"), 5, "all of it");
	struct timespec old[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
	must(utimensat(store_fd(s), "ended/0123.tmp-x", old, 0));
	is_int(ended_sweep(store_fd(s), 100), 0, "what is old");
	is_int(entries(s, "ended"), 4, "is taken away");
	must(unlinkat(store_fd(s), "ended/rubbish", AT_REMOVEDIR));
	store_close(s);
}

/* --- a full disk --- */

static int full(void)
{
	char path[PATH_MAX + 16], fill[4096] = "";
	snprintf(path, sizeof(path), "%s/full", scratch);
	mkdir(path, 0700);
	if (mount("none", path, "tmpfs", 0, "size=256k,mode=700") < 0)
		return 90;
	struct store *s = open_store("full");
	struct meta m;
	int64_t before = NOW;
	for (int i = 0; i < 3; i++) {
		char sid[16];
		snprintf(sid, sizeof(sid), "f%d", i);
		close(claim(s, sid, LONG_AGO));
	}
	int fd = openat(store_fd(s), "trash/filler", O_WRONLY | O_CREAT, 0600);
	while (write(fd, fill, sizeof(fill)) > 0)
		;
	int dir = claim(s, "f0", NOW);
	if (store_use(s, name_of("f0"), dir, NOW) != -ENOSPC)
		return 1;
	close(dir);
	if (store_meta_read(s, name_of("f0"), &m) || m.last_used != LONG_AGO || m.version != 1)
		return 2;
	if (store_meta_update(s, name_of("f0"), set_revoked, NULL) || store_meta_read(s, name_of("f0"), &m) ||
	    !m.revoked)
		return 3;
	if (store_remove(s, name_of("f1")) || in_place(s, "f1"))
		return 4;
	if (store_remove_if(s, name_of("f2"), is_unused, &before) || in_place(s, "f2"))
		return 5;
	unlinkat(store_fd(s), "trash/filler", 0);
	close(fd);
	if (store_empty_trash(s, 100) || entries(s, "trash"))
		return 6;
	dir = claim(s, "f1", NOW);
	if (dir < 0)
		return 7;
	close(dir);
	store_close(s);
	return 0;
}

static void test_full(void)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? 91 : full());
	waitpid(pid, &status, 0);
	is_int(WEXITSTATUS(status), 0,
	       "on a full disk a use is ENOSPC and changes nothing, and sessions can be revoked and removed");
}

/* --- what can't be told --- */

static void test_untold(void)
{
	struct store *s = open_store("untold");
	close(claim(s, "s1", LONG_AGO));
	close(claim(s, "s2", LONG_AGO));
	close(claim(s, "s3", LONG_AGO));
	must(renameat(store_fd(s), "ended", store_fd(s), "ended.away"));
	is_int(store_meta_update(s, name_of("s1"), set_revoked, NULL), 0,
	       "where nobody can be told, a session is revoked");
	is_int(store_tell_again(s), -ENOENT, "and that it is not told is said");
	is_int(store_tell_again(s), -ENOENT, "as long as it is so");
	must(renameat(store_fd(s), "ended.away", store_fd(s), "ended"));
	is_int(store_tell_again(s), 0, "when there is room again");
	is_int(told(s, "s1"), 1, "it is told, once");

	must(renameat(store_fd(s), "ended", store_fd(s), "ended.away"));
	is_int(store_remove(s, name_of("s2")), 0, "a session is removed");
	is_int(store_tell_again(s), -ENOENT, "and that is not told either");
	must(renameat(store_fd(s), "ended.away", store_fd(s), "ended"));
	is_int(store_tell_again(s), 0, "until it is");
	must(renameat(store_fd(s), "ended", store_fd(s), "ended.away"));
	is_int(remove_unused(s, "s3", NOW), 0, "one is removed for its age");
	is_int(store_tell_again(s), -ENOENT, "and that is not told");
	must(renameat(store_fd(s), "ended.away", store_fd(s), "ended"));
	is_int(store_tell_again(s), 0, "until it is, too");
	is_int(entries(s, "ended"), 4, "the revocation, the removal with its tombstone, and that for age");

	static struct ended e;
	ended_init(&e, store_fd(s));
	must(renameat(store_fd(s), "ended", store_fd(s), "ended.away"));
	for (int i = 0; i < ENDED_UNTOLD + 1; i++)
		ended_tell(&e, name_of("s4"));
	is_int(ended_tell_again(&e), -ENOENT, "of very many");
	must(renameat(store_fd(s), "ended.away", store_fd(s), "ended"));
	is_int(ended_tell_again(&e), -ENOBUFS, "some are given up, which is said");
	is_int(entries(s, "ended"), 4 + ENDED_UNTOLD, "and the others told");
	is_int(ended_tell_again(&e), 0, "once");
	store_close(s);
}

int main(void)
{
	alarm(240);
	if (sodium_init() < 0)
		return 2;
	json_object_seed(0);
	/* Where fsync costs nothing, whoever races is as quick as the others, and every order comes about. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	top = scratch_open();
	int fds = open_fds();
	test_use();
	test_remove_if();
	test_stranded();
	test_ended();
	test_untold();
	test_races();
	if (geteuid() == 0)
		test_full();
	else
		ok(0, "root is needed for a full disk");
	is_int(open_fds(), fds, "no descriptor is lost in all this");
	return tap_done();
}
