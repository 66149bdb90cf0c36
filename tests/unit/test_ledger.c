/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <jansson.h>
#include <sodium.h>
#include <sys/wait.h>

#include "durable.h"
#include "proto/limits.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tap.h"
#include "users.h"
#include "util.h"

static struct store *store;
static char name[SID_HASH_LEN + 1];
static int usage_dir = -1;

/* A session of its own for a test, with its ledger's directory once there is one. */
static void fresh(const char *sid, const char *sub)
{
	struct meta m;
	bool is_fresh;
	int dir = -1;
	sid_hash(sid, name);
	must(users_enter(store, sub, name, LIMIT_NONE, &is_fresh));
	must(store_claim(store, sid, sub, geteuid(), getegid(), 1000, &m, &dir));
	close(dir);
	usage_dir = close_fd(usage_dir);
}

static void put(const char *file, const char *text)
{
	int dir;
	must(store_session_dir(store, name, &dir));
	if (mkdirat(dir, "usage", 0700) < 0 && errno != EEXIST)
		abort();
	int fd = openat(dir, "usage", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scratch_file(fd, file, 0600, text);
	close(fd);
	close(dir);
}

static struct ledger_sum sum_of(const char *mine)
{
	struct ledger_sum sum;
	memset(&sum, 0x5a, sizeof(sum));
	must(ledger_read(store, name, mine, NULL, NULL, &sum));
	return sum;
}

static void test_lines(void)
{
	const struct ledger_line one = {7, false, {100, 2}, {150, 3}, {10, 1}},
				 two = {1, true, {-30, -1}, {-30, -1}, {0, 0}};
	struct ledger_sum sum;
	fresh("lines", "ada");
	sum = sum_of("a");
	ok(!sum.there && !sum.lines && !sum.has_mine && !sum.garbage, "a new session has no ledger");
	is_int(ledger_write(store, name, "a", &one), 0, "a line is written, and its directory with it");
	is_int(ledger_write(store, name, "b.c-d_E", &two), 0, "another instance's too");
	sum = sum_of("a");
	ok(sum.there && sum.has_mine && memcmp(&sum.mine, &one, sizeof(one)) == 0, "mine is read as it was written");
	ok(sum.lines == 1 && sum.loose == 0 && sum.used.bytes == -30 && sum.granted.files == -1,
	   "the others are summed up");
	sum = sum_of(NULL);
	ok(sum.lines == 2 && sum.loose == 1 && sum.used.bytes == 70 && sum.used.files == 1 &&
		   sum.granted.bytes == 120 && sum.held.bytes == 10,
	   "where none is mine all are");
	is_int(ledger_write_base(store, name, &(struct usage){-90, 5}), 0, "a base is written");
	sum = sum_of("a");
	ok(sum.base.bytes == -90 && sum.base.files == 5, "and read");
	struct usage total = ledger_total(&sum);
	ok(total.bytes == 0 && total.files == 6, "what is shown is never below 0");
	put(".tmp-x-1-2", "half");
	put("notes.txt", "x");
	put(".hidden.json", "x");
	sum = sum_of("a");
	ok(sum.lines == 1 && !sum.garbage, "temporaries and what is no instance's are not read");
	is_int(ledger_write(store, name, "../x", &one), -EINVAL, "an instance's name is not made a path");

	char nobody[SID_HASH_LEN + 1];
	sid_hash("nobody", nobody);
	is_int(ledger_read(store, nobody, NULL, NULL, NULL, &sum), -ENOENT, "a session that is not there has none");
	is_int(ledger_write(store, nobody, "a", &one), -ENOENT, "nor gets one");
}

static void test_garbage(void)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"version\":1,\"exact\":true,\"used\":[1,1],\"granted\":[1,1]}",
		"{\"version\":1,\"exact\":true,\"used\":[1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[1,1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[1.0,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[\"1\",1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":1,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":-1,\"exact\":true,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[2,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[1,2],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[1,1],\"granted\":[1,1],\"held\":[-1,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[-9223372036854775807,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[1,1],\"granted\":[9223372036854775807,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[1,1],\"used\":[0,0],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]} x",
	};
	struct usage u;
	fresh("garbage", "ada");
	const struct ledger_line good = {1, true, {5, 1}, {5, 1}, {0, 0}};
	must(ledger_write(store, name, "good", &good));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put("bad.json", bad[i]);
		struct ledger_sum sum = sum_of("bad");
		ok(sum.garbage == 1 && !sum.has_mine && sum.there && sum.used.bytes == 5,
		   "garbage is told from a line: %.60s", bad[i]);
	}
	put("base", "{\"used\":[1]}");
	is_int(sum_of(NULL).garbage, 2, "also in the base");
	char user[SID_HASH_LEN + 1];
	user_hash("ada", user);
	is_int(ledger_user(store, user, NULL, NULL, &u), -EUCLEAN, "a user with garbage has no sum");
	must(ledger_write_base(store, name, &(struct usage){0, 0}));
	is_int(ledger_clear(store, name), 0, "it can be cleared");
	struct ledger_sum sum = sum_of(NULL);
	ok(!sum.garbage && sum.lines == 1, "and what is good stays");
}

static void test_users(void)
{
	const struct ledger_line line = {1, false, {10, 1}, {100, 10}, {0, 0}};
	struct usage u;
	char user[SID_HASH_LEN + 1], first[SID_HASH_LEN + 1];
	user_hash("eve", user);
	is_int(ledger_user(store, user, NULL, NULL, &u), 0, "a user without sessions has a sum");
	ok(u.bytes == 0 && u.files == 0, "of nothing");
	fresh("e1", "eve");
	memcpy(first, name, sizeof(first));
	must(ledger_write(store, name, "a", &line));
	must(ledger_write(store, name, "b", &line));
	fresh("e2", "eve");
	must(ledger_write(store, name, "a", &line));
	must(ledger_write_base(store, name, &(struct usage){1, 1}));
	fresh("e3", "eve");
	must(ledger_user(store, user, NULL, NULL, &u));
	ok(u.bytes == 301 && u.files == 31, "a user has what is granted in all sessions, and their bases");
	must(ledger_user(store, user, first, "a", &u));
	ok(u.bytes == 201 && u.files == 21, "but for one's own line in one of them");
	is_int(store_remove(store, first), 0, "a session is removed");
	must(ledger_user(store, user, NULL, NULL, &u));
	ok(u.bytes == 101 && u.files == 11, "and with it what it had");
}

static int count_one(void *ctx, const char *session)
{
	(void)session;
	++*(int *)ctx;
	return 0;
}

static void test_user_sessions(void)
{
	enum { TRIERS = 8, MOST = 3 };
	char user[SID_HASH_LEN + 1], session[SID_HASH_LEN + 1], sid[32];
	bool is_fresh;
	user_hash("max", user);
	sid_hash("m-0", session);
	is_int(users_enter(store, "max", session, 1, &is_fresh), 0, "the first session of a user is let in");
	ok(is_fresh, "as a new one");
	is_int(users_enter(store, "max", session, 1, &is_fresh), 0, "again it is, too");
	ok(!is_fresh, "as a known one");
	sid_hash("m-1", session);
	is_int(users_enter(store, "max", session, 1, &is_fresh), -EDQUOT, "a second is not, where one is allowed");
	int n = 0;
	users_each(store, user, count_one, &n);
	is_int(n, 1, "and leaves no name");
	is_int(users_leave(store, "max", session), 0, "leaving is for those who are not there, too");
	sid_hash("m-0", session);
	is_int(users_leave(store, "max", session), 0, "and for those who are");
	sid_hash("m-1", session);
	is_int(users_enter(store, "max", session, 1, &is_fresh), 0, "then there is room");
	is_int(users_enter(store, "none", session, 0, &is_fresh), -EDQUOT, "of none not even one is let in");

	int bad = 0;
	for (int round = 0; round < 5; round++) {
		int go[2], in = 0, status;
		char sub[32];
		snprintf(sub, sizeof(sub), "crowd-%d", round);
		must(pipe2(go, O_CLOEXEC));
		fflush(stdout);
		for (int i = 0; i < TRIERS; i++)
			if (fork() == 0) {
				char c;
				close(go[1]);
				snprintf(sid, sizeof(sid), "c-%d-%d", round, i);
				sid_hash(sid, session);
				_exit(read(go[0], &c, 1) == 0 && users_enter(store, sub, session, MOST, &is_fresh) == 0
					      ? 0
					      : 1);
			}
		close(go[1]);
		close(go[0]);
		while (wait(&status) > 0)
			in += WIFEXITED(status) && WEXITSTATUS(status) == 0;
		n = 0;
		user_hash(sub, user);
		users_each(store, user, count_one, &n);
		bad += in > MOST || in < 1 || n != in;
	}
	is_int(bad, 0, "of %d processes at once never more than %d are let in, and the names are theirs", TRIERS, MOST);
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
	test_lines();
	test_garbage();
	test_users();
	test_user_sessions();
	is_int(open_fds(), fds, "no descriptor is lost in all this");
	store_close(store);
	close(top);
	return tap_done();
}
