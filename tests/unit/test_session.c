/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <limits.h>
#include <fcntl.h>
#include <pthread.h>

#include "stats.h"
#include "tests/unit/tap.h"
#include "util.h"

#define THREADS 8

#ifdef __SANITIZE_THREAD__
#define MEMORY_IS_CHEAP false /* it takes four times as much */
#else
#define MEMORY_IS_CHEAP true
#endif

static struct session_table *table;

static struct session *enter(const char *sid)
{
	struct session *s = session_enter(table, sid, "alice", -1);
	if (!s)
		abort();
	return s;
}

/* Who is found; as a number, so that nobody keeps a reference. 0: nobody. */
static uint64_t found(const char *sid)
{
	struct session *s = session_find(table, sid);
	uint64_t id = s ? s->id : 0;
	session_put(table, s);
	return id;
}

static bool known(uint64_t id)
{
	struct session *s = session_get(table, id);
	session_put(table, s);
	return s && s->id == id;
}

static int count_all(void)
{
	int n = 0;
	struct session *s;
	for (uint32_t at = 0; (s = session_next(table, &at)); n++)
		session_put(table, s);
	return n;
}

static void test_enter(void)
{
	char name[SID_HASH_LEN + 1];
	int64_t gauge = stats_get(STATS_sessions);

	is_int((long long)found("march"), 0, "a session that nobody entered is not live");
	struct session *s = enter("march");
	uint64_t id = s->id;
	sid_hash("march", name);
	is_str(s->name, name, "a session knows its name in the store");
	ok(strcmp(s->sid, "march") == 0 && strcmp(s->sub, "alice") == 0, "its id and its owner");
	ok(!s->revoked && !s->bare && !s->used && !s->expires && !s->release[0], "and begins with nothing else");
	ok(session_enter(table, "march", "alice", -1) == s, "its owner enters the same session again");
	ok(!session_enter(table, "march", "bob", -1), "another user does not enter it");
	ok(!session_enter(table, "march", "alic", -1) && !session_enter(table, "march", "alice2", -1),
	   "a similar name is another user");
	struct session *other = enter("April");
	ok(other != s && other->id != id, "another id is another session");
	ok(found("march") == id && found("April") == other->id && !found("april"), "each is found by its id alone");
	ok(known(id) && known(other->id), "and by its number");
	ok(!known(0) && !known(1) && !known((uint32_t)id) && !known(id + (UINT64_C(1) << 32)) && !known(UINT64_MAX),
	   "numbers that were never given out are unknown");
	is_int(stats_get(STATS_sessions) - gauge, 2, "the gauge counts them");

	session_put(table, s);
	ok(found("march") == id, "it lives until its last reference is put");
	session_ref(table, s);
	session_put_id(table, id);
	session_put_id(table, id);
	ok(!found("march") && !known(id), "and then no longer");
	struct session *anew = session_enter(table, "march", "bob", -1);
	ok(anew && anew->id != id && strcmp(anew->sub, "bob") == 0,
	   "one made later has another number, and the owner that it was made for");
	ok(!known(id), "the old number stays unknown");
	session_put(table, anew);
	session_put(table, other);
	session_put(table, NULL);
	is_int(stats_get(STATS_sessions), gauge, "the gauge goes back");
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_directory(void)
{
	int first = dup(0), second = dup(0);
	struct session *s = session_enter(table, "june", "alice", first);
	ok(s->dir == first, "a session keeps the directory that it began with");
	ok(session_enter(table, "june", "alice", second) == s && s->dir == first && !is_open(second),
	   "one that comes later is closed");
	second = dup(0);
	ok(!session_enter(table, "june", "bob", second) && !is_open(second), "and so is another user's");
	session_put(table, s);
	ok(is_open(first), "it is open as long as there is a reference");
	session_put(table, s);
	ok(!is_open(first), "and closed with the last");
}

static void test_numbers(void)
{
	enum { ROUNDS = 1000 };
	static uint64_t seen[ROUNDS];
	int again = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct session *s = enter("march");
		seen[i] = s->id;
		s->revoked = s->bare = true;
		session_put(table, s);
		for (int j = 0; j < i; j++)
			again += seen[i] == seen[j] || (i % 100 == 0 && known(seen[j]));
	}
	is_int(again, 0, "numbers are never used again");
	struct session *s = enter("march");
	ok(!s->revoked && !s->bare, "nothing of a session that is gone is left in the next");
	session_put(table, s);
}

static void test_dirty(void)
{
	struct session *s = enter("march");
	uint64_t id = s->id;
	ok(!session_clean(table, s), "a session that was not used has nothing to write");
	session_touch(table, s, 1000);
	session_touch(table, s, 1001);
	is_int(s->used, 1001, "the last use is remembered");
	session_put(table, s);
	ok(found("march") == id, "a used session stays until its meta.json is written, also when nobody holds it");
	s = session_find(table, "march");
	ok(session_clean(table, s), "then there is something to write");
	ok(!session_clean(table, s), "once");
	session_put(table, s);
	ok(!found("march") && !known(id), "and then it goes");

	char release[RELEASE_MAX + 1] = "";
	s = enter("march");
	session_bound(table, s, 50, 300, "v1");
	session_bound(table, s, 60, 200, "");
	is_int(s->expires, 300, "the latest expiry counts");
	is_int(s->used, 60, "and the last use");
	session_release(table, s, release);
	is_str(release, "v1", "a bind that names no release leaves the one that was named");
	session_bound(table, s, 60, 400, "v2");
	session_release(table, s, release);
	is_str(release, "v2", "one that names another replaces it");
	is_int(s->expires, 400, "a later expiry replaces an earlier one");
	session_put(table, s);
	ok(found("march"), "a bind is a use: it is to be written");
	s = session_find(table, "march");
	session_clean(table, s);
	session_put(table, s);
	ok(!found("march"), "once");
}

static void test_retire(void)
{
	struct session *old = enter("march");
	uint64_t id = old->id;
	session_retire(table, old);
	ok(!found("march"), "a retired session is not found by its id");
	ok(known(id), "but by its number, for those who hold it");
	is_int(count_all(), 1, "and in walks");
	struct session *anew = session_enter(table, "march", "bob", -1);
	ok(anew && anew != old && anew->id != id, "its id can be bound anew, by anybody: that is another session");
	ok(strcmp(old->sub, "alice") == 0, "which leaves the old one as it was");
	session_retire(table, old);
	ok(found("march") == anew->id, "retiring the old one again does not touch the new");
	session_touch(table, old, 1);
	session_put(table, old);
	ok(known(id), "a retired session that is to be written stays for that");
	session_clean(table, old);
	ok(!known(id) && found("march") == anew->id, "its end does not touch the new either");
	session_put(table, anew);
	ok(!found("march"), "nor does anything of it keep the new one alive");
}

/* Three ids whose sessions lie in one chain of the table: session.c takes the hash's first eight digits, modulo 2^16. */
static void colliding(char sids[3][16])
{
	char first[SID_HASH_LEN + 1], name[SID_HASH_LEN + 1];
	snprintf(sids[0], sizeof(sids[0]), "s0");
	sid_hash(sids[0], first);
	for (int i = 1, n = 1; n < 3; i++) {
		snprintf(sids[n], sizeof(sids[n]), "s%d", i);
		sid_hash(sids[n], name);
		n += memcmp(name + 4, first + 4, 4) == 0;
	}
}

static void test_chains(void)
{
	char sids[3][16];
	int wrong = 0;

	colliding(sids);
	for (int gone = 0; gone < 3; gone++) {
		struct session *s[3];
		for (int i = 0; i < 3; i++)
			s[i] = enter(sids[i]);
		for (int i = 0; i < 3; i++)
			wrong += found(sids[i]) != s[i]->id;
		if (gone == 1)
			session_retire(table, s[gone]);
		session_put(table, s[gone]);
		for (int i = 0; i < 3; i++)
			wrong += found(sids[i]) != (i == gone ? 0 : s[i]->id);
		for (int i = 0; i < 3; i++)
			if (i != gone)
				session_put(table, s[i]);
		for (int i = 0; i < 3; i++)
			wrong += found(sids[i]) != 0;
	}
	is_int(wrong, 0, "sessions of one chain are found, whichever of them goes first");
}

static void test_walk(void)
{
	enum { MANY = 100 };
	struct session *s[MANY];
	char sid[16];
	int seen[MANY] = {0}, wrong = 0;

	is_int(count_all(), 0, "a walk over nothing ends");
	for (int i = 0; i < MANY; i++) {
		snprintf(sid, sizeof(sid), "w%d", i);
		s[i] = enter(sid);
	}
	struct session *at_hand;
	for (uint32_t at = 0; (at_hand = session_next(table, &at));) {
		int n = atoi(at_hand->sid + 1);
		seen[n]++;
		if (n % 2 == 0 && n + 1 < MANY && !seen[n + 1]) {
			session_put(table, s[n + 1]); /* the next ends under the walker's feet */
			s[n + 1] = NULL;
		}
		session_put(table, at_hand);
	}
	for (int i = 0; i < MANY; i++) {
		wrong += s[i] ? seen[i] != 1 : seen[i] != 0;
		session_put(table, s[i]);
	}
	is_int(wrong, 0, "a walk meets each live session once, and none that ended before its turn");
	is_int(count_all(), 0, "and keeps no reference");
}

/* ---- many at once ---- */

static pthread_barrier_t gate;
static atomic_int faults;
static uint64_t pinned;

static void *come_and_go(void *arg)
{
	char own[16];
	snprintf(own, sizeof(own), "t%d", (int)(uintptr_t)arg % 3);
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 3000; i++) {
		struct session *s = session_enter(table, "shared", "alice", -1);
		faults += !s || s->id != pinned;
		struct session *mine = session_enter(table, own, "alice", -1);
		faults += !mine || strcmp(mine->sid, own) != 0;
		struct session *again = session_get(table, mine->id);
		faults += again != mine;
		session_bound(table, mine, i, i, "r");
		faults += session_enter(table, own, "bob", -1) != NULL;
		if (i % 3 == 0)
			session_clean(table, mine);
		session_put(table, again);
		session_put(table, mine);
		session_put(table, s);
	}
	return NULL;
}

/* The sids of those that are unused at a time, in the order of their entry; the crowd's are c0 to c9. */
static const char *unused(struct session_table *t, int64_t now)
{
	static char sids[128];
	size_t n = 0;
	struct session *s;
	sids[0] = '\0';
	for (uint32_t at = 0; (s = session_next_unused(t, &at, now)); session_put(t, s))
		n += (size_t)snprintf(sids + n, sizeof(sids) - n, "%s%s", n ? " " : "", s->sid);
	return sids;
}

static void test_unused(void)
{
	enum { ROOM = 10, NOW = 1000000, AGO = NOW - SESSION_UNUSED - 1 };
	struct session_table *t = session_table_new(ROOM);
	struct session *crowd[ROOM];
	char sid[16];
	if (!t)
		abort();
	for (int i = 0; i < ROOM / 2; i++) {
		snprintf(sid, sizeof(sid), "c%d", i);
		crowd[i] = session_enter(t, sid, "alice", -1);
		crowd[i]->used = crowd[i]->held = AGO;
	}
	is_str(unused(t, NOW), "", "as long as half the room is free nobody is called unused");
	is_int(session_table_live(t), ROOM / 2, "however long");
	crowd[5] = session_enter(t, "c5", "alice", -1);
	crowd[5]->used = NOW;
	is_str(unused(t, NOW), "c0 c1 c2 c3 c4", "with more, those are that nobody has used for a while");
	crowd[1]->used = AGO + 1;
	crowd[3]->held = NOW;
	is_str(unused(t, NOW), "c0 c2 c4", "but not who was used lately, or is bound");
	is_str(unused(t, NOW + SESSION_UNUSED), "c0 c1 c2 c4", "nor who will be, before his time");
	is_str(unused(t, NOW + SESSION_UNUSED + 1), "c0 c1 c2 c3 c4 c5", "and then all of them");
	session_put(t, crowd[0]); /* the kernel has forgotten it */
	is_str(unused(t, NOW + SESSION_UNUSED + 1), "", "when the crowd has gone, nobody again");
	for (int i = 1; i <= ROOM / 2; i++)
		session_put(t, crowd[i]);
	session_table_free(t);
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	struct session *s = enter("shared");

	pinned = s->id;
	pthread_barrier_init(&gate, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, come_and_go, (void *)i))
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&gate);
	is_int(faults, 0, "%d threads that enter and leave find the session that they name", THREADS);
	ok(known(pinned), "what is held meanwhile stays");
	session_put(table, s);
	for (uint32_t at = 0; (s = session_next(table, &at));) {
		session_clean(table, s);
		session_put(table, s);
	}
	is_int(count_all(), 0, "and no reference is lost");
}

static void test_full(void)
{
	char sid[16];
	int n = 0;

	/* 2^18 - 1: a bound that the memory of a small machine stands, and the store does not care for. */
	do {
		snprintf(sid, sizeof(sid), "f%d", n);
	} while (session_enter(table, sid, "alice", -1) && ++n < 1 << 19);
	is_int(n, (1 << 18) - 1, "a full table refuses one session more");
	struct session *s = session_enter(table, "f7", "alice", -1);
	ok(s && found("f7") == s->id, "and still has those that are there");
	session_put(table, s);
	session_put(table, s);
	ok(!found("f7") && session_enter(table, "one more", "alice", -1),
	   "where one has gone there is room for another");
}

int main(void)
{
	alarm(240);
	table = session_table_new(UINT_MAX);
	if (!table)
		abort();
	test_enter();
	test_directory();
	test_numbers();
	test_dirty();
	test_retire();
	test_chains();
	test_walk();
	test_unused();
	test_threads();
	if (MEMORY_IS_CHEAP)
		test_full();
	session_table_free(table);
	session_table_free(NULL);
	return tap_done();
}
