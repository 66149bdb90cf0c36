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

#define RUN "0123456789abcdef"

static struct store *store;
static char name[SID_HASH_LEN + 1];
static int session = -1;

/* A session of its own for a test. */
static void fresh(const char *sid, const char *sub)
{
	struct meta m;
	bool is_fresh;
	session = close_fd(session);
	sid_hash(sid, name);
	must(users_enter(store, sub, name, LIMIT_NONE, &is_fresh));
	must(store_claim(store, sid, sub, geteuid(), getegid(), 1000, &m, &session));
}

static void put(const char *file, const char *text)
{
	if (mkdirat(session, "usage", 0700) < 0 && errno != EEXIST)
		abort();
	int fd = openat(session, "usage", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scratch_file(fd, file, 0600, text);
	close(fd);
}

static struct ledger_sum sum_of(const char *mine)
{
	struct ledger_sum sum;
	memset(&sum, 0x5a, sizeof(sum));
	must(ledger_read(session, mine, NULL, NULL, &sum));
	return sum;
}

static void test_lines(void)
{
	const struct ledger_line one = {7, RUN, true, true, {100, 2}, {150, 3}, {10, 1}},
				 two = {1, RUN, false, false, {-30, -1}, {-30, -1}, {0, 0}};
	struct ledger_sum sum;
	fresh("lines", "ada");
	sum = sum_of("a");
	ok(!sum.counted && !sum.lines && !sum.has_mine && !sum.garbage, "a new session has no ledger");
	is_int(ledger_write(session, "a", &one), 0, "a line is written, and its directory with it");
	ok(!sum_of("a").counted, "one that is unsure counts nobody's tree");
	is_int(ledger_write(session, "b.c-d_E", &two), 0, "another instance's too");
	sum = sum_of("a");
	ok(sum.counted && sum.has_mine && memcmp(&sum.mine, &one, sizeof(one)) == 0, "mine is read as it was written");
	ok(sum.lines == 1 && sum.open == 0 && sum.used.bytes == -30 && sum.granted.files == -1,
	   "the others are summed up");
	sum = sum_of(NULL);
	ok(sum.lines == 2 && sum.open == 1 && sum.used.bytes == 70 && sum.used.files == 1 && sum.granted.bytes == 120 &&
		   sum.held.bytes == 10,
	   "where none is mine all are");
	is_int(ledger_write_base(session, &(struct usage){-90, 5}), 0, "a base is written");
	sum = sum_of("a");
	ok(sum.base.bytes == -90 && sum.base.files == 5 && sum.has_base, "and read");
	must(ledger_doubt(session));
	ok(!sum.doubted && sum_of("a").doubted, "it can be doubted");
	must(ledger_believe(session));
	must(ledger_believe(session));
	ok(!sum_of("a").doubted, "and believed again");
	struct usage total = ledger_total(&sum);
	ok(total.bytes == 0 && total.files == 6, "what is shown is never below 0");
	uint64_t stamp = sum_of("a").stamp;
	must(ledger_write(session, "a", &two));
	ok(sum_of("a").stamp == stamp, "what others wrote has a stamp, which mine does not change");
	struct ledger_line other = two;
	memcpy(other.run, "0123456789abcdee", sizeof(other.run));
	must(ledger_write(session, "b.c-d_E", &other));
	ok(sum_of("a").stamp != stamp, "another run of theirs does");
	must(ledger_write(session, "b.c-d_E", &two));
	ok(sum_of("a").stamp == stamp, "and back");
	other.version++;
	must(ledger_write(session, "b.c-d_E", &other));
	ok(sum_of("a").stamp != stamp, "so does another version");
	put(".tmp-x-1-2", "half");
	put("notes.txt", "x");
	put(".hidden.json", "x");
	sum = sum_of("a");
	ok(sum.lines == 1 && !sum.garbage, "temporaries and what is no instance's are not read");
	is_int(ledger_write(session, "../x", &one), -EINVAL, "an instance's name is not made a path");

	int gone = dup(session);
	must(store_remove(store, name));
	while (store_empty_trash(store, 100) > 0)
		;
	is_int(ledger_write(gone, "a", &one), -ENOENT, "a session that is deleted gets none any more");
	struct meta m;
	session = close_fd(session);
	must(store_claim(store, "lines", "ada", geteuid(), getegid(), 1000, &m, &session));
	ok(!sum_of("a").lines, "nor does one that was made since under its id");
	close(gone);
}

static int write_another(void *ctx, const char *instance, const struct ledger_line *line)
{
	const struct ledger_line more = {1, RUN, false, false, {50, 1}, {50, 1}, {0, 0}};
	bool *written = ctx;
	(void)instance;
	(void)line;
	if (!*written)
		must(ledger_write(session, "late", &more));
	*written = true;
	return 0;
}

static void test_listing(void)
{
	const struct ledger_line one = {1, RUN, false, false, {7, 1}, {7, 1}, {0, 0}};
	struct ledger_sum sum;
	bool written = false;
	fresh("listing", "ada");
	must(ledger_write(session, "early", &one));
	must(ledger_read(session, NULL, write_another, &written, &sum));
	ok(sum.lines == 2 && sum.used.bytes == 57, "what is written while the lines are listed is not missed");
}

static void test_garbage(void)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"version\":1,\"run\":\"" RUN "\",\"open\":true,\"unsure\":false,\"used\":[1,1],\"granted\":[1,1]}",
		"{\"version\":1,\"open\":true,\"unsure\":false,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"exact\":true,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"0123\",\"open\":true,\"unsure\":false,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"0123456789abcdeg\",\"open\":true,\"unsure\":false,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":1,\"unsure\":false,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":0,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[1,1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[1.0,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[\"1\",1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":-1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[2,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[1,2],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[1,1],\"granted\":[1,1],\"held\":[-1,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[-9223372036854775807,1],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[1,1],\"granted\":[1,9223372036854775807],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":false,\"unsure\":false,\"used\":[1,1],\"granted\":[2,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":false,\"unsure\":false,\"used\":[1,1],\"granted\":[1,2],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[1,1],\"used\":[0,0],\"granted\":[1,1],\"held\":[0,0]}",
		"{\"version\":1,\"run\":\"" RUN
		"\",\"open\":true,\"unsure\":false,\"used\":[1,1],\"granted\":[1,1],\"held\":[0,0]} x",
	};
	struct usage u;
	fresh("garbage", "ada");
	const struct ledger_line good = {1, RUN, false, false, {5, 1}, {5, 1}, {0, 0}};
	must(ledger_write(session, "good", &good));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put("bad.json", bad[i]);
		struct ledger_sum sum = sum_of("bad");
		ok(sum.garbage == 1 && !sum.has_mine && sum.counted && sum.used.bytes == 5,
		   "garbage is told from a line: %.60s", bad[i]);
	}
	put("base", "{\"used\":[1]}");
	is_int(sum_of(NULL).garbage, 2, "also in the base");
	put("base", "{\"used\":[1,1]");
	is_int(sum_of(NULL).garbage, 2, "or half of one");
	char user[SID_HASH_LEN + 1];
	user_hash("ada", user);
	is_int(ledger_user(store, user, NULL, -1, NULL, &u), -EUCLEAN, "a user with garbage has no sum");
	must(ledger_write_base(session, &(struct usage){0, 0}));
	is_int(ledger_clear(store, session), 0, "it can be cleared");
	struct ledger_sum sum = sum_of(NULL);
	ok(!sum.garbage && sum.lines == 1, "and what is good stays");
}

static void test_users(void)
{
	const struct ledger_line line = {1, RUN, true, false, {10, 1}, {100, 10}, {0, 0}};
	struct usage u;
	char user[SID_HASH_LEN + 1], first[SID_HASH_LEN + 1];
	user_hash("eve", user);
	is_int(ledger_user(store, user, NULL, -1, NULL, &u), 0, "a user without sessions has a sum");
	ok(u.bytes == 0 && u.files == 0, "of nothing");
	fresh("e1", "eve");
	memcpy(first, name, sizeof(first));
	int first_dir = dup(session);
	must(ledger_write(session, "a", &line));
	must(ledger_write(session, "b", &line));
	fresh("e2", "eve");
	must(ledger_write(session, "a", &line));
	must(ledger_write_base(session, &(struct usage){1, 1}));
	fresh("e3", "eve");
	must(ledger_user(store, user, NULL, -1, NULL, &u));
	ok(u.bytes == 301 && u.files == 31, "a user has what is granted in all sessions, and their bases");
	must(ledger_user(store, user, first, first_dir, "a", &u));
	ok(u.bytes == 201 && u.files == 21, "but for one's own line in one of them");
	must(ledger_user(store, user, first, session, "a", &u));
	ok(u.bytes == 301, "by its directory, not by its name alone");
	close(first_dir);
	is_int(store_remove(store, first), 0, "a session is removed");
	must(ledger_user(store, user, NULL, -1, NULL, &u));
	ok(u.bytes == 101 && u.files == 11, "and with it what it had");
}

static int count_one(void *ctx, const char *of)
{
	(void)of;
	++*(int *)ctx;
	return 0;
}

static void test_user_sessions(void)
{
	enum { TRIERS = 8, MOST = 3 };
	char user[SID_HASH_LEN + 1], of[SID_HASH_LEN + 1], sid[32];
	bool is_fresh;
	user_hash("max", user);
	sid_hash("m-0", of);
	is_int(users_enter(store, "max", of, 1, &is_fresh), 0, "the first session of a user is let in");
	ok(is_fresh, "as a new one");
	is_int(users_enter(store, "max", of, 1, &is_fresh), 0, "again it is, too");
	ok(!is_fresh, "as a known one");
	sid_hash("m-1", of);
	is_int(users_enter(store, "max", of, 1, &is_fresh), -EDQUOT, "a second is not, where one is allowed");
	int n = 0;
	users_each(store, user, count_one, &n);
	is_int(n, 1, "and leaves no name");
	is_int(users_leave(store, "max", of), 0, "leaving is for those who are not there, too");
	sid_hash("m-0", of);
	is_int(users_leave(store, "max", of), 0, "and for those who are");
	sid_hash("m-1", of);
	is_int(users_enter(store, "max", of, 1, &is_fresh), 0, "then there is room");
	is_int(users_enter(store, "none", of, 0, &is_fresh), -EDQUOT, "of none not even one is let in");

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
				sid_hash(sid, of);
				_exit(read(go[0], &c, 1) == 0 && users_enter(store, sub, of, MOST, &is_fresh) == 0 ? 0
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
	test_listing();
	test_garbage();
	test_users();
	test_user_sessions();
	session = close_fd(session);
	is_int(open_fds(), fds, "no descriptor is lost in all this");
	store_close(store);
	close(top);
	return tap_done();
}
